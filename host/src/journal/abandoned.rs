//! The files of processes that are gone.

use std::io;
use std::path::PathBuf;

use super::file::JournalFile;
use super::{Journal, Leftover, Note, lock};

/// The journal of a process that is gone. Nobody else has it as long as it is here. It goes when nothing is left to undo.
pub(crate) struct Abandoned {
    file: JournalFile,
    journal: Journal,
}

impl Abandoned {
    /// The journal at this path; none when its process is alive, or somebody else undoes what is in it.
    pub(super) fn take(journal: &Journal, path: PathBuf) -> io::Result<Option<Self>> {
        let Some(file) = JournalFile::take(path)? else {
            return Ok(None);
        };
        lock(&journal.0.taken).insert(file.path().to_owned());
        Ok(Some(Self {
            file,
            journal: journal.clone(),
        }))
    }

    /// What is to be undone, the last first.
    pub(crate) fn standing(&self) -> Vec<(Note, Leftover)> {
        let standing = self.file.standing().rev();
        standing.map(|(note, left)| (note, left.clone())).collect()
    }

    /// It is undone.
    pub(crate) fn clear(&mut self, note: Note) -> io::Result<()> {
        self.file.clear(note)
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        lock(&self.journal.0.taken).remove(self.file.path());
    }
}
