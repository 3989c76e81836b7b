//! The copies on this machine. They are sealed with the repository's key, as in the repository.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use super::CopyStorage;
use crate::backend::{CONFIG, FileKind, Listed};
use crate::{Error, Id, Result};

/// Copies of files.
#[derive(Clone)]
pub(super) struct Copies<C> {
    storage: C,
    /// Packs whose copies were compared with their names.
    proven: Rc<RefCell<HashSet<Id>>>,
}

impl<C: CopyStorage> Copies<C> {
    pub(super) fn new(storage: C) -> Self {
        Self {
            storage,
            proven: Rc::default(),
        }
    }

    pub(super) fn storage(&self) -> &C {
        &self.storage
    }

    pub(super) async fn has_config(&self) -> Result<bool> {
        self.storage.exists().await
    }

    pub(super) async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        self.storage.list(kind).await
    }

    /// A copy, if there is one and it is what its name says. One that cannot be had is none.
    pub(super) async fn read(&self, kind: FileKind, id: Id) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.had(self.storage.read(kind, id).await) else {
            return Ok(None);
        };
        if kind == FileKind::Config || self.is_whole(id, &bytes)? {
            return Ok(Some(bytes));
        }
        self.remove(kind, id).await;
        Ok(None)
    }

    /// Whether this is what a file of this name holds.
    pub(super) fn is_whole(&self, id: Id, bytes: &[u8]) -> Result<bool> {
        Ok(self.storage.digest(bytes)? == id)
    }

    /// What came of a copy; nothing where there is none, and where it cannot be had, which the operator is told.
    fn had<T>(&self, copy: Result<T>) -> Option<T> {
        match copy {
            Ok(copy) => Some(copy),
            Err(Error::NotFound(_)) => None,
            Err(error) => {
                let text = format!("a copy on this machine is not used: {error}");
                self.storage.warn(&text);
                None
            }
        }
    }

    /// Part of a copy, if there is one and all of it is what its name says.
    pub(super) async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>> {
        if !self.proven.borrow().contains(&id) {
            if self.read(kind, id).await?.is_none() {
                return Ok(None);
            }
            self.proven.borrow_mut().insert(id);
        }
        let part = self.storage.read_range(kind, id, offset, length).await;
        Ok(self.had(part))
    }

    pub(super) async fn keep(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        // Its name does not tell a config from another's, and a config that is there is not replaced.
        if kind == FileKind::Config
            && let Ok(copy) = self.storage.read(kind, id).await
        {
            if copy == bytes {
                return Ok(());
            }
            self.storage.remove(kind, id).await?;
        }
        self.storage.write(kind, id, bytes).await
    }

    /// Removes a copy. One that stays does no harm: whether it is still of use, the next listing tells.
    pub(super) async fn remove(&self, kind: FileKind, id: Id) {
        self.had(self.storage.remove(kind, id).await);
    }

    /// The copies of what a listing lacks.
    pub(super) async fn unlisted(&self, kind: FileKind, listed: &[Listed]) -> Vec<Id> {
        let there: HashSet<Id> = listed.iter().map(|file| file.id).collect();
        let copies = self.had(self.storage.list(kind).await).unwrap_or_default();
        let copies = copies.into_iter().map(|copy| copy.id);
        copies.filter(|id| !there.contains(id)).collect()
    }
}

/// Removes every copy.
pub(super) async fn remove_all(storage: &impl CopyStorage) -> Result<()> {
    // Packs of trees are listed with the other packs.
    for kind in [
        FileKind::Key,
        FileKind::Snapshot,
        FileKind::Index,
        FileKind::Pack,
    ] {
        for copy in storage.list(kind).await? {
            storage.remove(kind, copy.id).await?;
        }
    }
    storage.remove(FileKind::Config, CONFIG).await
}
