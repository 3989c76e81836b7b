//! Journals of processes that are gone.

use std::io;
use std::path::PathBuf;

use super::file::JournalFile;
use super::{Leftover, Note};

/// The journal of a process that is gone. Others may have it too: each of them undoes what is its own business. It goes when
/// nothing is left to undo.
pub(crate) struct Abandoned(JournalFile);

impl Abandoned {
    /// The journal at this path; none when its process is alive.
    pub(super) fn take(path: PathBuf) -> io::Result<Option<Self>> {
        Ok(JournalFile::take(path)?.map(Self))
    }

    /// The pending cleanup, newest first.
    pub(crate) fn outstanding(&self) -> Vec<(Note, Leftover)> {
        let outstanding = self.0.outstanding().rev();
        outstanding
            .map(|(note, left)| (note, left.clone()))
            .collect()
    }

    /// It is undone.
    pub(crate) fn clear(&mut self, note: Note) -> io::Result<()> {
        self.0.clear(note)
    }
}
