//! Writes index files.

use super::{IndexFile, IndexedPack};
use crate::core::Core;
use crate::pack::PackedBlob;
use crate::{FileKind, Id, Platform, Result};

/// Blobs that one index file lists; restic's own bound.
const INDEXED: usize = 50_000;

/// Writes an index, in as many files as it takes.
#[derive(Default)]
pub(crate) struct IndexWriter {
    file: IndexFile,
    blobs: usize,
}

impl IndexWriter {
    /// Lists a pack.
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

    /// Writes what was not written yet.
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
