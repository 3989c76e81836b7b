//! A remote repository with copies on this machine of files that are read again.
//!
//! | kind | copied | read from the copy |
//! |---|---|---|
//! | config | yes | where nothing else can be read |
//! | keys, indexes, snapshots | yes | yes |
//! | packs of trees | whole | yes, part by part |
//! | other packs, locks | no | |
//!
//! With write-only credentials, the copies are all that can be read and listed. A check reads the remote files instead of the
//! copies, because a copy hides damage of the remote file.

mod copies;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use futures::{StreamExt as _, stream};

use crate::backend::{Access, Backend, FileKind, Listed};
use crate::{Error, Id, Instant, Result};
use copies::Copies;

/// Files looked up concurrently.
const LOOKING: usize = 8;

/// Storage for copies, with the layout of a repository. Only this program writes to it.
pub trait CopyStorage: Backend {
    /// The SHA-256 of bytes.
    fn digest(&self, bytes: &[u8]) -> Result<Id>;

    /// Warns the operator.
    fn warn(&self, text: &str);
}

/// A backend with copies of some of its files.
#[derive(Clone)]
pub struct Cached<B, C> {
    backend: B,
    copies: Option<Copies<C>>,
    /// The ids of trusted copies. `None` if all copies are trusted.
    trusted: Rc<RefCell<Option<HashSet<Id>>>>,
}

impl<B: Backend, C: CopyStorage> Cached<B, C> {
    /// Keeps copies of these files in `storage`. Without it, every read goes to the backend. Write-only
    /// credentials need it.
    pub fn new(backend: B, storage: Option<C>) -> Self {
        Self {
            backend,
            copies: storage.map(Copies::new),
            trusted: Rc::default(),
        }
    }

    fn trusts(&self, id: Id) -> bool {
        let trusted = self.trusted.borrow();
        trusted.as_ref().is_none_or(|trusted| trusted.contains(&id))
    }

    /// Reads a remote file, and keeps a trusted copy unless the file is damaged.
    async fn copied(&self, copies: &Copies<C>, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        let bytes = self.backend.read(kind, id).await?;
        if kind == FileKind::Config || copies.is_whole(id, &bytes)? {
            self.keep(kind, id, bytes.clone()).await?;
            if let Some(trusted) = &mut *self.trusted.borrow_mut() {
                trusted.insert(id);
            }
        }
        Ok(bytes)
    }

    /// The remote backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The storage of the copies.
    pub fn storage(&self) -> Option<&C> {
        self.copies.as_ref().map(Copies::storage)
    }

    /// The copies, if nothing else is readable.
    fn only_copies(&self) -> Option<&Copies<C>> {
        self.copies
            .as_ref()
            .filter(|_| self.access() == Access::WriteOnly)
    }

    /// Keeps a copy. With write-only credentials, failure is an error, because later backups need the
    /// copy. Otherwise copies only save time.
    async fn keep(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        let Some(copies) = &self.copies else {
            return Ok(());
        };
        match copies.keep(kind, id, bytes).await {
            Err(error) if self.access() != Access::WriteOnly => {
                let text = format!("no copy is kept on this machine: {error}");
                copies.storage().warn(&text);
                Ok(())
            }
            kept => kept,
        }
    }

    /// Looks up copied files that the listing lacks. Returns those that exist, because listings can lag, and those that are gone.
    async fn find_unlisted(
        &self,
        copies: &Copies<C>,
        kind: FileKind,
        listed: &[Listed],
    ) -> Result<(Vec<Listed>, Vec<Id>)> {
        let unlisted = copies.unlisted(kind, listed).await;
        let mut lengths = stream::iter(unlisted)
            .map(async |id| (id, self.backend.length(kind, id).await))
            .buffer_unordered(LOOKING);
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        while let Some((id, length)) = lengths.next().await {
            match length? {
                Some(length) => found.push(Listed { id, length }),
                None => gone.push(id),
            }
        }
        Ok((found, gone))
    }
}

impl<B: Backend, C: CopyStorage> Backend for Cached<B, C> {
    fn access(&self) -> Access {
        self.backend.access()
    }

    fn place(&self) -> Option<String> {
        self.backend.place()
    }

    fn distrust_copies(&self) {
        self.trusted.replace(Some(HashSet::new()));
    }

    fn writers(&self) -> usize {
        self.backend.writers()
    }

    async fn create_layout(&self) -> Result<()> {
        self.backend.create_layout().await
    }

    async fn exists(&self) -> Result<bool> {
        match self.only_copies() {
            Some(copies) => copies.has_config().await,
            None => self.backend.exists().await,
        }
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        if let Some(copies) = self.only_copies() {
            return copies.list(kind).await;
        }
        let mut listed = self.backend.list(kind).await?;
        let Some(copies) = &self.copies else {
            return Ok(listed);
        };
        if kind == FileKind::Lock {
            return Ok(listed);
        }
        let (found, gone) = self.find_unlisted(copies, kind, &listed).await?;
        listed.extend(found);
        // Without the last copy of its key, nobody could ever open the repository.
        if kind != FileKind::Key || !listed.is_empty() {
            for id in gone {
                copies.remove(kind, id).await;
            }
        }
        Ok(listed)
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        if let Some(copies) = self.only_copies() {
            let copy = copies.read(kind, id).await?;
            return copy.ok_or_else(|| no_copy(kind, id));
        }
        let is_read_from = matches!(kind, FileKind::Key | FileKind::Index | FileKind::Snapshot);
        let Some(copies) = &self.copies else {
            return self.backend.read(kind, id).await;
        };
        if is_read_from
            && self.trusts(id)
            && let Some(copy) = copies.read(kind, id).await?
        {
            return Ok(copy);
        }
        if is_read_from || kind == FileKind::Config {
            self.copied(copies, kind, id).await
        } else {
            self.backend.read(kind, id).await
        }
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let can_read = self.access() != Access::WriteOnly;
        if let Some(copies) = &self.copies
            && kind == FileKind::TreePack
        {
            if self.trusts(id)
                && let Some(part) = copies.read_range(kind, id, offset, length).await?
            {
                return Ok(part);
            }
            if can_read {
                let pack = self.copied(copies, kind, id).await?;
                return Ok(part(&pack, offset, length));
            }
        }
        if !can_read {
            return Err(no_copy(kind, id));
        }
        self.backend.read_range(kind, id, offset, length).await
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        if self.copies.is_none() || matches!(kind, FileKind::Lock | FileKind::Pack) {
            return self.backend.write(kind, id, bytes).await;
        }
        self.backend.write(kind, id, bytes.clone()).await?;
        self.keep(kind, id, bytes).await
    }

    async fn write_pack(&self, kind: FileKind, id: Id, pieces: Vec<Vec<u8>>) -> Result<()> {
        if self.copies.is_none() || kind == FileKind::Pack {
            return self.backend.write_pack(kind, id, pieces).await;
        }
        self.write(kind, id, pieces.concat()).await
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.backend.remove(kind, id).await?;
        if let Some(copies) = &self.copies
            && kind != FileKind::Lock
        {
            copies.remove(kind, id).await;
        }
        Ok(())
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        self.backend.length(kind, id).await
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        self.backend.stored(kind, id).await
    }
}

/// Removes all copies.
pub async fn remove_copies(storage: &impl CopyStorage) -> Result<()> {
    copies::remove_all(storage).await
}

fn no_copy(kind: FileKind, id: Id) -> Error {
    Error::NotFound(format!(
        "no copy of the {kind} {id} is kept on this machine"
    ))
}

/// A range of a file, shorter if the file ends before.
fn part(bytes: &[u8], offset: u64, length: u64) -> Vec<u8> {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
}
