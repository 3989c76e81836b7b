//! The leftovers of this process, recorded on disk before they exist, so that another process can clean up if this one dies.
//!
//! Each process has a file of its own. It appends a line for each leftover, and one when the leftover is cleared. It holds a
//! lock on the file. The kernel releases that lock when the process ends, however it ends and also in another container.
//!
//! | module | holds |
//! |---|---|
//! | `leftover` | the kinds of leftovers |
//! | `file` | the file of one process |
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
use tracing::warn;

pub(crate) use abandoned::Abandoned;
use file::JournalFile;
pub(crate) use leftover::{Leftover, SuspendMode, SuspendedContainer};

use crate::own_file;

/// Where the files are, in the state directory.
const DIRECTORY: &str = "undo";

/// The file whose lock is the [`JournalLock`].
const LOCK_FILE: &str = "turn";

/// How often a process tries to get the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The journal of this process. Clones share it. Nothing is on disk until something is to be undone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    state: Mutex<OwnState>,
}

/// The journal of this process.
#[derive(Debug, Default)]
struct OwnState {
    /// There is a file as long as something stands in it: whoever never gets to remove it leaves none behind.
    file: Option<JournalFile>,
    /// The number of the next note.
    next: u64,
    /// What whoever was to undo it has not undone, and cannot any more.
    orphaned: BTreeSet<Note>,
}

/// Something that stands in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "what is noted has to be cleared"]
pub(crate) struct Note(u64);

/// Something that stands in a journal as long as this lives.
#[derive(Debug)]
pub(crate) struct NoteGuard {
    journal: Journal,
    note: Option<Note>,
}

/// Keeps all other processes of this machine from changing what the journals name. Dropping it unlocks.
#[must_use]
pub(crate) struct JournalLock {
    _lock: File,
}

impl Journal {
    /// The journal of this process in this state directory.
    pub fn new(state: &Path) -> Self {
        Self(Arc::new(Inner {
            directory: state.join(DIRECTORY),
            state: Mutex::default(),
        }))
    }

    /// Where the journals of this machine are.
    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Writes down what is about to be done. When this returns, a loss of power does not lose it.
    pub(crate) fn note(&self, leftover: Leftover) -> io::Result<Note> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let file = match &mut state.file {
            Some(file) => file,
            none => {
                self.make_directory()?;
                none.insert(JournalFile::create(&self.0.directory)?)
            }
        };
        file.note(number, leftover)
    }

    /// The same for something that undoes itself when its owner is dropped.
    pub(crate) fn keep(&self, leftover: Leftover) -> io::Result<NoteGuard> {
        Ok(NoteGuard {
            note: Some(self.note(leftover)?),
            journal: self.clone(),
        })
    }

    /// Whoever was to undo it is gone, and this process is not.
    pub(crate) fn orphan(&self, note: Note) {
        self.state().orphaned.insert(note);
    }

    /// The pending cleanup that another part of this process owns.
    pub(crate) fn orphans(&self) -> Vec<(Note, Leftover)> {
        let orphaned = self.state().orphaned.clone();
        let mut outstanding = self.outstanding();
        outstanding.retain(|(note, _)| orphaned.contains(note));
        outstanding
    }

    /// It is undone.
    pub(crate) fn clear(&self, note: Note) -> io::Result<()> {
        let mut state = self.state();
        state.orphaned.remove(&note);
        match &mut state.file {
            Some(file) if file.holds_only(note) => {
                file.forget(note);
                state.file = None;
                Ok(())
            }
            Some(file) => file.clear(note),
            None => Ok(()),
        }
    }

    /// The pending cleanup of this process.
    pub(crate) fn outstanding(&self) -> Vec<(Note, Leftover)> {
        let state = self.state();
        let outstanding = state.file.iter().flat_map(JournalFile::outstanding);
        outstanding
            .map(|(note, left)| (note, left.clone()))
            .collect()
    }

    /// The pending cleanup of other live processes.
    pub(crate) fn elsewhere(&self) -> io::Result<Vec<Leftover>> {
        let state = self
            .state()
            .file
            .as_ref()
            .map(|file| file.path().to_owned());
        let mut found = Vec::new();
        for path in self.paths()? {
            if Some(&path) != state.as_ref() {
                found.extend(file::read_if_alive(&path)?);
            }
        }
        Ok(found)
    }

    /// The journals of processes that are gone. Others may have them at the same time: who undoes what only one may undo has
    /// its [`JournalLock`].
    pub(crate) fn abandoned(&self) -> io::Result<Vec<Abandoned>> {
        let mut abandoned = Vec::new();
        for path in self.paths()? {
            match Abandoned::take(path.clone()) {
                Ok(taken) => abandoned.extend(taken),
                // What the others say is undone all the same.
                Err(cause) => warn!(
                    help = "look whether containers are paused or stopped, and remove the file",
                    "{} says what an interrupted run has left, and cannot be read: {cause}",
                    path.display()
                ),
            }
        }
        Ok(abandoned)
    }

    /// Waits for the lock that a process needs to look at what others hold and to change it.
    pub(crate) async fn lock(&self) -> io::Result<JournalLock> {
        self.make_directory()?;
        let mut options = File::options();
        options.write(true).create(true).mode(0o600);
        let file = own_file::open(&options, &self.0.directory.join(LOCK_FILE))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(JournalLock { _lock: file }),
                Err(TryLockError::WouldBlock) => sleep(POLL_INTERVAL).await,
                Err(TryLockError::Error(cause)) => return Err(cause),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, OwnState> {
        // Every change is made in one go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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

impl NoteGuard {
    /// Leaves it to the next process, because this one cannot undo it.
    pub(crate) fn keep_noted(mut self) {
        self.note = None;
    }
}

impl Drop for NoteGuard {
    fn drop(&mut self) {
        if let Some(note) = self.note {
            // There is nothing left to undo, which another process finds out.
            let _ = self.journal.clear(note);
        }
    }
}

#[cfg(test)]
mod tests;
