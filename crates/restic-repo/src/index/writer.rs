//! Writes index files.

use super::{IndexFile, IndexedPack};
use crate::core::Core;
use crate::pack::PackedBlob;
use crate::{FileKind, Id, Platform, Result};

/// Blobs in one index file, as in restic.
const INDEXED: usize = 50_000;

/// Writes an index of one or more files.
#[derive(Default)]
pub(crate) struct IndexWriter {
    file: IndexFile,
    blobs: usize,
}

impl IndexWriter {
    /// Adds a pack.
    pub(crate) async fn add<P: Platform>(
        &mut self,
        core: &Core<P>,
        pack: Id,
        blobs: &[PackedBlob],
    ) -> Result<()> {
        self.file.packs.push(IndexedPack::new(pack, blobs));
        self.blobs += blobs.len();
        if self.blobs >= INDEXED {
            self.save(core).await?;
        }
        Ok(())
    }

    /// Writes the last file.
    pub(crate) async fn finish<P: Platform>(mut self, core: &Core<P>) -> Result<()> {
        if self.file.packs.is_empty() {
            return Ok(());
        }
        self.save(core).await
    }

    async fn save<P: Platform>(&mut self, core: &Core<P>) -> Result<()> {
        self.blobs = 0;
        let file = std::mem::take(&mut self.file);
        core.save(FileKind::Index, &file).await.map(drop)
    }
}
