//! What restoring into a directory would change.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Metadata, MetadataExt as _};
use rustix::fs::FileType;

use super::failed;
use crate::contract::{Entry, EntryKind, Receipt};
use crate::error::Result;
use crate::event::Events;
use crate::text::printable;
use crate::tree::TargetDir;

/// Compares a tree with a directory, and tells what would change there.
pub(crate) struct DryRun {
    path: PathBuf,
    delete: bool,
    /// The directories that hold what comes next, the root first.
    open: Vec<Level>,
    receipt: Receipt,
    events: Arc<dyn Events>,
}

struct Level {
    id: u64,
    /// None where there is no such directory yet.
    place: Option<TargetDir>,
    /// Below the root.
    path: PathBuf,
    /// The names in the tree.
    names: HashSet<OsString>,
}

impl DryRun {
    /// A dry run into a directory, which need not be there.
    pub(crate) fn new(
        place: Option<TargetDir>,
        path: &Path,
        delete: bool,
        events: Arc<dyn Events>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            delete,
            open: vec![Level {
                id: 0,
                place,
                path: PathBuf::new(),
                names: HashSet::new(),
            }],
            receipt: Receipt::default(),
            events,
        }
    }

    /// Takes the next entries of the tree.
    pub(crate) fn offer(&mut self, entries: &[Entry]) -> Result<()> {
        entries
            .iter()
            .try_for_each(|entry| self.take(entry).map_err(|cause| self.failed(&cause)))
    }

    /// All of the tree came. Answers how much would change.
    pub(crate) fn complete(mut self) -> Result<Receipt> {
        while !self.open.is_empty() {
            self.end_directory().map_err(|cause| self.failed(&cause))?;
        }
        Ok(self.receipt)
    }

    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        while self
            .open
            .last()
            .is_some_and(|level| level.id != entry.parent)
        {
            self.end_directory()?;
        }
        let Some(level) = self.open.last_mut() else {
            return Ok(());
        };
        let name = entry.name.as_os_str();
        let path = level.path.join(name);
        let found = match &level.place {
            Some(place) => place.stat(name)?,
            None => None,
        };
        if self.delete {
            level.names.insert(name.to_owned());
        }
        if matches!(entry.kind, EntryKind::Directory) {
            let is_there = found.as_ref().is_some_and(Metadata::is_dir);
            let place = match &level.place {
                Some(place) if is_there => Some(place.enter(name)?),
                _ => None,
            };
            self.open.push(Level {
                id: entry.id,
                place,
                path: path.clone(),
                names: HashSet::new(),
            });
        }
        match found {
            None => {
                self.receipt.files_new += 1;
                self.report("create", &path);
            }
            Some(found) if differs(&found, entry) => {
                self.receipt.files_changed += 1;
                self.report("replace", &path);
            }
            Some(_) => self.receipt.files_unmodified += 1,
        }
        Ok(())
    }

    /// Leaves the innermost directory, of which everything came.
    fn end_directory(&mut self) -> io::Result<()> {
        let Some(level) = self.open.pop() else {
            return Ok(());
        };
        let Some(place) = level.place.filter(|_| self.delete) else {
            return Ok(());
        };
        for name in place.surplus(&level.names)? {
            self.receipt.removed += place.count(&name)?;
            self.report("remove", &level.path.join(name));
        }
        Ok(())
    }

    fn report(&self, what: &str, path: &Path) {
        let path = printable(&self.path.join(path).to_string_lossy());
        self.events.planned(&format!("{what} {path}"));
    }

    fn failed(&self, cause: &io::Error) -> crate::error::Error {
        let level = self.open.last().map_or(Path::new(""), |level| &level.path);
        failed(&self.path.join(level), cause)
    }
}

/// Whether what is there is not what the entry says, as far as its metadata show it.
fn differs(found: &Metadata, entry: &Entry) -> bool {
    let kind = match &entry.kind {
        EntryKind::File(size) => {
            if size.is_some_and(|size| size != found.len()) {
                return true;
            }
            FileType::RegularFile
        }
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::Socket => FileType::Socket,
        EntryKind::CharacterDevice(_) => FileType::CharacterDevice,
        EntryKind::BlockDevice(_) => FileType::BlockDevice,
    };
    let metadata = &entry.metadata;
    let is_link = kind == FileType::Symlink;
    FileType::from_raw_mode(found.mode()) != kind
        || (!is_link && found.mode() & 0o7777 != metadata.permissions.bits())
        || (found.uid(), found.gid()) != (metadata.uid.get(), metadata.gid.get())
        || (found.mtime(), found.mtime_nsec())
            != (
                metadata.modified.seconds(),
                metadata.modified.nanoseconds().into(),
            )
}
