//! What a restoration into a directory would change.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustix::fs::{FileType, Stat};
use tokio::task::block_in_place;

use super::failed;
use crate::error::Result;
use crate::event::Events;
use crate::operation::Receipt;
use crate::plugin::bindings::types::{Completeness, Entry, Kind};
use crate::plugin::printable;
use crate::transfer::{Contents, Small, Writer};
use crate::tree::Place;

/// Compares a tree with a directory, and tells what would change there.
pub(crate) struct Plan {
    path: PathBuf,
    delete: bool,
    /// The directories that hold what comes next, the top first.
    open: Vec<Level>,
    receipt: Receipt,
    events: Arc<dyn Events>,
}

struct Level {
    id: u64,
    /// None where there is no such directory yet.
    place: Option<Place>,
    /// Below the top.
    path: PathBuf,
    /// What the tree has in it.
    names: HashSet<OsString>,
}

impl Plan {
    /// A plan for a tree into a directory, which need not be there.
    pub(crate) fn new(
        place: Option<Place>,
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

    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        while self
            .open
            .last()
            .is_some_and(|level| level.id != entry.parent)
        {
            self.leave()?;
        }
        let Some(level) = self.open.last_mut() else {
            return Ok(());
        };
        let name = OsStr::from_bytes(&entry.name);
        let path = level.path.join(name);
        let found = match &level.place {
            Some(place) => place.look(name)?,
            None => None,
        };
        if self.delete {
            level.names.insert(name.to_owned());
        }
        if matches!(entry.kind, Kind::Directory) {
            let is_there = found.as_ref().is_some_and(is_directory);
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
                self.tell("create", &path);
            }
            Some(found) if differs(&found, entry) => {
                self.receipt.files_changed += 1;
                self.tell("replace", &path);
            }
            Some(_) => self.receipt.files_unmodified += 1,
        }
        Ok(())
    }

    /// Leaves the innermost directory, of which everything came.
    fn leave(&mut self) -> io::Result<()> {
        let Some(level) = self.open.pop() else {
            return Ok(());
        };
        let Some(place) = level.place.filter(|_| self.delete) else {
            return Ok(());
        };
        for name in place.names()? {
            if !level.names.contains(&name) {
                self.receipt.removed += 1;
                self.tell("remove", &level.path.join(name));
            }
        }
        Ok(())
    }

    fn tell(&self, what: &str, path: &Path) {
        let path = printable(&self.path.join(path).to_string_lossy());
        self.events.planned(&format!("{what} {path}"));
    }

    fn failed(&self, cause: &io::Error) -> crate::error::Error {
        let level = self.open.last().map_or(Path::new(""), |level| &level.path);
        failed(&self.path.join(level), cause)
    }
}

fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

/// Whether what is there is not what the entry says, as far as its metadata show it.
fn differs(found: &Stat, entry: &Entry) -> bool {
    let kind = match &entry.kind {
        Kind::File(size) => {
            if size.is_some_and(|size| i64::try_from(size) != Ok(found.st_size)) {
                return true;
            }
            FileType::RegularFile
        }
        Kind::Directory => FileType::Directory,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::CharacterDevice(_) => FileType::CharacterDevice,
        Kind::BlockDevice(_) => FileType::BlockDevice,
    };
    let metadata = &entry.metadata;
    let is_link = kind == FileType::Symlink;
    let modified = (
        metadata.modified.seconds,
        u64::from(metadata.modified.nanoseconds),
    );
    FileType::from_raw_mode(found.st_mode) != kind
        || (!is_link && found.st_mode & 0o7777 != metadata.mode)
        || (found.st_uid, found.st_gid) != (metadata.uid, metadata.gid)
        // The parts of a time have other types on other processors.
        || (i128::from(found.st_mtime), i128::from(found.st_mtime_nsec))
            != (i128::from(modified.0), i128::from(modified.1))
}

impl Writer for Plan {
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            block_in_place(|| {
                for entry in &*entries {
                    self.take(entry).map_err(|cause| self.failed(&cause))?;
                }
                Ok(HashSet::new())
            })
        }
        .boxed()
    }

    fn put_small(&mut self, _: Vec<Small>) -> BoxFuture<'_, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn put(&mut self, _: u64, _: Contents) -> BoxFuture<'_, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn commit(mut self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move {
            block_in_place(|| {
                while !self.open.is_empty() {
                    self.leave().map_err(|cause| self.failed(&cause))?;
                }
                Ok(self.receipt)
            })
        }
        .boxed()
    }
}
