//! What a process has to undo outside of itself, written down before it is done, so that another process can undo it
//! when this one dies.
//!
//! Each process has a file of its own, to which it adds a line for each thing that is to be undone, and one for each that is. It
//! holds a lock on the file, which the system takes away from a process that ends in whatever way, also in another container.
//!
//! | module | holds |
//! |---|---|
//! | `leftover` | what there may be to undo |
//! | `file` | one process's file |
//! | `abandoned` | the files of processes that are gone |

mod abandoned;
mod file;
mod leftover;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

pub(crate) use abandoned::Abandoned;
use file::JournalFile;
pub(crate) use leftover::{Halt, HeldContainer, Leftover};

use crate::own_file;

/// Where the files are, in the state directory.
const DIRECTORY: &str = "undo";

/// The file whose lock is the [`Turn`].
const TURN: &str = "turn";

/// How often a process looks whether it is its turn.
const LOOK: Duration = Duration::from_millis(20);

/// The journal of this process. Clones share it. Nothing is on disk until something is to be undone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    own: Mutex<Option<JournalFile>>,
    /// Journals of processes that are gone, which this process has at the moment.
    taken: Mutex<BTreeSet<PathBuf>>,
}

/// Something that stands in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "what is noted has to be cleared"]
pub(crate) struct Note(u64);

/// Something that stands in a journal as long as this lives.
#[derive(Debug)]
pub(crate) struct Standing {
    journal: Journal,
    note: Note,
}

/// No other process of this machine has its turn meanwhile. It ends when it is dropped.
#[must_use]
pub(crate) struct Turn {
    _lock: File,
}

impl Journal {
    /// The journal of this process in this state directory.
    pub fn new(state: &Path) -> Self {
        Self(Arc::new(Inner {
            directory: state.join(DIRECTORY),
            own: Mutex::default(),
            taken: Mutex::default(),
        }))
    }

    /// Where the journals of this machine are.
    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Writes down what is about to be done. When this returns, a loss of power does not lose it.
    pub(crate) fn note(&self, leftover: Leftover) -> io::Result<Note> {
        let mut own = self.own();
        let file = match &mut *own {
            Some(file) => file,
            none => {
                self.make_directory()?;
                none.insert(JournalFile::create(&self.0.directory)?)
            }
        };
        file.note(leftover)
    }

    /// The same for something that undoes itself when its owner is dropped.
    pub(crate) fn keep(&self, leftover: Leftover) -> io::Result<Standing> {
        Ok(Standing {
            note: self.note(leftover)?,
            journal: self.clone(),
        })
    }

    /// It is undone.
    pub(crate) fn clear(&self, note: Note) -> io::Result<()> {
        match &mut *self.own() {
            Some(file) => file.clear(note),
            None => Ok(()),
        }
    }

    /// What this process has to undo.
    pub(crate) fn standing(&self) -> Vec<(Note, Leftover)> {
        let own = self.own();
        let standing = own.iter().flat_map(JournalFile::standing);
        standing.map(|(note, left)| (note, left.clone())).collect()
    }

    /// What other processes have to undo that are alive.
    pub(crate) fn elsewhere(&self) -> io::Result<Vec<Leftover>> {
        let mut known = lock(&self.0.taken).clone();
        known.extend(self.own().as_ref().map(|file| file.path().to_owned()));
        let mut found = Vec::new();
        for path in self.paths()? {
            if !known.contains(&path) {
                found.extend(file::read_if_alive(&path)?);
            }
        }
        Ok(found)
    }

    /// The journals of processes that are gone. Nobody else has them meanwhile.
    pub(crate) fn abandoned(&self) -> io::Result<Vec<Abandoned>> {
        let paths = self.paths()?.into_iter();
        let taken = paths.filter_map(|path| Abandoned::take(self, path).transpose());
        taken.collect()
    }

    /// Waits for this process's turn to look at what others hold and to change it.
    pub(crate) async fn turn(&self) -> io::Result<Turn> {
        self.make_directory()?;
        let mut options = File::options();
        options.write(true).create(true).mode(0o600);
        let file = own_file::open(&options, &self.0.directory.join(TURN))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Turn { _lock: file }),
                Err(TryLockError::WouldBlock) => sleep(LOOK).await,
                Err(TryLockError::Error(cause)) => return Err(cause),
            }
        }
    }

    fn own(&self) -> MutexGuard<'_, Option<JournalFile>> {
        lock(&self.0.own)
    }

    fn make_directory(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.0.directory)
    }

    /// All journals.
    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.0.directory) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|name| name == file::EXTENSION) {
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is made in one go.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Standing {
    fn drop(&mut self) {
        // There is nothing left to undo, which another process finds out.
        let _ = self.journal.clear(self.note);
    }
}

#[cfg(test)]
mod tests;
