//! The journal file of one process: a line of JSON for each leftover, and one when it is cleared.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Leftover, Note};
use crate::own_file;

/// How the names of journals end.
pub(super) const EXTENSION: &str = "journal";

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Note(u64, Leftover),
    Clear(u64),
}

/// The journal of one process, locked.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    /// Why nothing can be written to it, where that is so. What stands in it can be undone all the same.
    unwritable: Option<ErrorKind>,
    outstanding: BTreeMap<u64, Leftover>,
}

impl JournalFile {
    /// A new one in this directory.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{}-{}", std::process::id(), hex::encode(random));
        let path = directory.join(&name).with_extension(EXTENSION);
        // Nobody takes it for abandoned before it is locked.
        let aside = directory.join(name);
        let mut options = File::options();
        options.read(true).append(true).create_new(true).mode(0o600);
        let file = own_file::open(&options, &aside)?;
        let named = file
            .try_lock()
            .map_err(io::Error::from)
            .and_then(|()| fs::rename(&aside, &path))
            .and_then(|()| own_file::sync_names(directory));
        if let Err(cause) = named {
            // It has one of the names.
            let _ = fs::remove_file(&aside).or_else(|_| fs::remove_file(&path));
            return Err(cause);
        }
        Ok(Self {
            path,
            file,
            unwritable: None,
            outstanding: BTreeMap::new(),
        })
    }

    /// One whose process is gone; none when that is alive. That one alone has the lock for itself: all others share it, so that
    /// none of them takes another one for alive and passes over what is left.
    pub(super) fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let mut options = File::options();
        let (file, unwritable) = match own_file::open(options.read(true).append(true), &path) {
            Ok(file) => (file, None),
            Err(cause) => match cause.kind() {
                ErrorKind::NotFound => return Ok(None),
                kind @ (ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                    let file = own_file::open(File::options().read(true), &path)?;
                    (file, Some(kind))
                }
                _ => return Err(cause),
            },
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            locked => locked?,
        }
        // Who had it before may have removed it.
        if file.metadata()?.nlink() == 0 {
            return Ok(None);
        }
        let text = io::read_to_string(&file)?;
        let outstanding = parse(&text);
        let mut taken = Self {
            path,
            file,
            unwritable,
            outstanding,
        };
        if unwritable.is_none() && !text.ends_with('\n') {
            taken.file.write_all(b"\n")?;
        }
        Ok(Some(taken))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The pending cleanup, oldest first.
    pub(super) fn outstanding(&self) -> impl DoubleEndedIterator<Item = (Note, &Leftover)> {
        let outstanding = self.outstanding.iter();
        outstanding.map(|(number, leftover)| (Note(*number), leftover))
    }

    /// Writes it down with this number, which is a new one.
    pub(super) fn note(&mut self, number: u64, leftover: Leftover) -> io::Result<Note> {
        self.write(&Line::Note(number, leftover.clone()))?;
        self.outstanding.insert(number, leftover);
        Ok(Note(number))
    }

    pub(super) fn clear(&mut self, note: Note) -> io::Result<()> {
        if self.outstanding.remove(&note.0).is_some() {
            self.write(&Line::Clear(note.0))?;
        }
        Ok(())
    }

    /// Whether nothing else stands in it.
    pub(super) fn holds_only(&self, note: Note) -> bool {
        self.outstanding.len() == 1 && self.outstanding.contains_key(&note.0)
    }

    /// It is undone, and the file goes before anybody needs to know.
    pub(super) fn forget(&mut self, note: Note) {
        self.outstanding.remove(&note.0);
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        if let Some(kind) = self.unwritable {
            return Err(kind.into());
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.sync_data()
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        // What could not be undone is for somebody else, who may have undone more than is known here.
        let is_empty = |text: String| parse(&text).is_empty();
        if self.outstanding.is_empty() || own_file::read_text(&self.path).is_ok_and(is_empty) {
            // An empty one says the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The pending cleanup of a process, if it is alive.
pub(super) fn read_if_alive(path: &Path) -> io::Result<Vec<Leftover>> {
    let file = match own_file::open(File::options().read(true), path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let text = io::read_to_string(&file)?;
            Ok(parse(&text).into_values().collect())
        }
        Err(TryLockError::Error(cause)) => Err(cause),
        Ok(()) => Ok(Vec::new()),
    }
}

/// What stands in a journal. The last line of a process that died may not be whole: it had done nothing yet.
fn parse(text: &str) -> BTreeMap<u64, Leftover> {
    let mut outstanding = BTreeMap::new();
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(Line::Note(number, leftover)) => {
                outstanding.insert(number, leftover);
            }
            Ok(Line::Clear(number)) => {
                outstanding.remove(&number);
            }
            // Another version's, or cut off.
            Err(_) => {}
        }
    }
    outstanding
}
