//! Packs: sealed blobs followed by a sealed header that lists them. Source: "Pack Format" in restic's design
//! document.

mod builder;
mod header;
mod pieces;
mod shuffle;

pub(crate) use builder::{Built, MAX_BLOBS, PackBuilder, TARGET};
pub(crate) use header::{EMPTY_LENGTH, OVERHEAD, TRAILER, listed_length, pack_length, read_header};
pub(crate) use shuffle::Shuffle;

use serde::{Deserialize, Serialize};

use crate::{FileKind, Id};

/// What a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlobType {
    Data,
    Tree,
}

impl BlobType {
    /// What the packs of such blobs are.
    pub(crate) fn pack(self) -> FileKind {
        match self {
            Self::Data => FileKind::Pack,
            Self::Tree => FileKind::TreePack,
        }
    }
}

/// A blob in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedBlob {
    pub(crate) id: Id,
    pub(crate) blob_type: BlobType,
    /// Where it begins in the pack.
    pub(crate) offset: u32,
    /// Its sealed length.
    pub(crate) length: u32,
    /// The length of what it holds, where that is compressed.
    pub(crate) uncompressed_length: Option<u32>,
}
