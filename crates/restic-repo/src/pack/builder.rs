//! Builds a pack.

use super::header::write_header;
use super::pieces::Pieces;
use super::{BlobType, PackedBlob};
use crate::core::Core;
use crate::{Error, Id, Listed, Platform, Result, Sealed};

/// A pack is finished when it has this many bytes; restic's default.
pub(crate) const TARGET: usize = 16 << 20;

/// And it holds no more blobs than this, so that its header stays small.
pub(crate) const MAX_BLOBS: usize = 10_000;

/// Collects sealed blobs of one type.
pub(crate) struct PackBuilder {
    blob_type: BlobType,
    bytes: Pieces,
    blobs: Vec<PackedBlob>,
}

/// A pack that is stored.
pub(crate) struct Built {
    pub(crate) stored: Listed,
    pub(crate) blobs: Vec<PackedBlob>,
    /// Bytes of its header.
    pub(crate) overhead: u64,
}

impl PackBuilder {
    pub(crate) fn new(blob_type: BlobType) -> Self {
        Self {
            blob_type,
            bytes: Pieces::default(),
            blobs: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET || self.blobs.len() >= MAX_BLOBS
    }

    /// Adds a blob whose plaintext has this length.
    pub(crate) fn add(&mut self, id: Id, sealed: &Sealed, plain_length: usize) -> Result<()> {
        let fits = |length: usize| {
            u32::try_from(length).map_err(|_| Error::Other("a blob is too large for a pack".into()))
        };
        self.blobs.push(PackedBlob {
            id,
            blob_type: self.blob_type,
            offset: fits(self.bytes.len())?,
            length: fits(sealed.bytes.len())?,
            uncompressed_length: if sealed.compressed {
                Some(fits(plain_length)?)
            } else {
                None
            },
        });
        self.bytes.extend(&sealed.bytes);
        Ok(())
    }

    /// Takes what was collected; the builder is empty after that.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.blob_type))
    }

    /// Takes over the blobs of another one. Answers both where that would be too much for a pack.
    pub(crate) fn absorb(&mut self, other: Self) -> Vec<Self> {
        let length = self.bytes.len() + other.bytes.len();
        let blobs = self.blobs.len() + other.blobs.len();
        // No pack is longer than can be said here.
        let offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let mut first = self.take();
        if length > TARGET || blobs > MAX_BLOBS {
            return vec![first, other];
        }
        first.bytes.append(other.bytes);
        let moved = other.blobs.into_iter().map(|blob| PackedBlob {
            offset: offset + blob.offset,
            ..blob
        });
        first.blobs.extend(moved);
        vec![first]
    }

    #[cfg(test)]
    pub(super) fn blobs(&self) -> &[PackedBlob] {
        &self.blobs
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.as_slice().concat()
    }

    /// Adds the header and stores the pack, whose name is told before there is anything
    /// of that name.
    pub(crate) async fn store<P: Platform>(
        mut self,
        core: &Core<P>,
        tell: impl FnOnce(Id),
    ) -> Result<Built> {
        let header = write_header(&self.blobs);
        let sealed = core.platform.seal(&core.key, header, None).await?;
        let length = u32::try_from(sealed.bytes.len())
            .map_err(|_| Error::Other("a pack's header is too long".into()))?;
        self.bytes.extend(&sealed.bytes);
        self.bytes.extend(&length.to_le_bytes());
        let id = core.platform.digest(self.bytes.as_slice())?;
        tell(id);
        let stored = Listed {
            id,
            length: self.bytes.len() as u64,
        };
        let kind = self.blob_type.pack();
        let pieces = self.bytes.into_inner();
        core.platform.write_pack(kind, id, pieces).await?;
        Ok(Built {
            stored,
            blobs: self.blobs,
            overhead: u64::from(length) + 4,
        })
    }
}
