//! Reads blobs from packs: sealed, or opened and compared with their ids.

use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::BlobType;
use crate::tree::Tree;
use crate::{Error, Expectation, FileKind, Id, Platform, Result};

/// The longest blob that is read, in bytes. restic's own chunks have at most 8 MiB; a tree of
/// a million files has some hundred.
pub(crate) const MAX_LENGTH: u64 = 1 << 30;

/// A blob as it lies in its pack.
#[derive(Clone, Debug)]
pub struct SealedBlob {
    /// What an error calls it.
    pub name: String,
    /// Its sealed bytes.
    pub bytes: Vec<u8>,
    /// What they have to turn out to be.
    pub expectation: Expectation,
}

impl SealedBlob {
    pub(crate) fn new(id: Id, location: &Location, bytes: Vec<u8>) -> Self {
        Self {
            name: format!(
                "the blob {} in the pack {}",
                id.short(),
                location.pack.short()
            ),
            bytes,
            expectation: Expectation {
                compressed: location.uncompressed_length.is_some(),
                max_length: location.plain_length().min(MAX_LENGTH),
                digest: Some(id),
            },
        }
    }
}

impl<P: Platform> Core<P> {
    /// Where a blob is, or the error of one that is missing.
    pub(crate) fn locate(&self, blob_type: BlobType, id: Id) -> Result<Location> {
        let found = self.index.borrow().find(blob_type, id);
        found.ok_or_else(|| {
            corrupt(format!(
                "the blob {} is in no pack that the index knows",
                id.short()
            ))
        })
    }

    /// Opens a blob and compares what it holds with its id.
    pub(crate) async fn open_blob(&self, blob: SealedBlob) -> Result<Vec<u8>> {
        let opened = self.platform.open_all(&self.key, vec![blob]).await?;
        Ok(opened.into_iter().next().unwrap_or_default())
    }

    /// Reads a tree, from another pack where one is damaged.
    pub(crate) async fn load_tree(&self, id: Id) -> Result<Tree> {
        let location = self.locate(BlobType::Tree, id)?;
        let mut loaded = self.load_tree_at(id, location).await;
        if matches!(loaded, Err(Error::Corrupt(_) | Error::NotFound(_))) {
            let others = self.index.borrow().others(BlobType::Tree, id);
            for other in others {
                let tried = self.load_tree_at(id, other).await;
                if tried.is_ok() {
                    loaded = tried;
                }
            }
        }
        loaded
    }

    async fn load_tree_at(&self, id: Id, location: Location) -> Result<Tree> {
        let offset = u64::from(location.offset);
        let sealed = self
            .platform
            .read_range(
                FileKind::TreePack,
                location.pack,
                offset,
                u64::from(location.length),
            )
            .await?;
        let blob = SealedBlob::new(id, &location, sealed);
        Tree::from_bytes(id, &self.open_blob(blob).await?)
    }
}
