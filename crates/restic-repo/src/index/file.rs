//! Index files, in restic's JSON. Source: "Indexing" in restic's design document.

use serde::{Deserialize, Serialize};

use crate::Id;
use crate::pack::{BlobType, PackedBlob};

/// What one index file says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    pub(crate) packs: Vec<IndexedPack>,
}

/// A pack and the blobs in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IndexedPack {
    pub(crate) id: Id,
    blobs: Vec<IndexedBlob>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexedBlob {
    id: Id,
    #[serde(rename = "type")]
    blob_type: BlobType,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncompressed_length: Option<u32>,
}

impl IndexedPack {
    pub(crate) fn new(id: Id, blobs: &[PackedBlob]) -> Self {
        let blobs = blobs
            .iter()
            .map(|blob| IndexedBlob {
                id: blob.id,
                blob_type: blob.blob_type,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length,
            })
            .collect();
        Self { id, blobs }
    }

    pub(crate) fn into_blobs(self) -> (Id, Vec<PackedBlob>) {
        let blobs = self
            .blobs
            .into_iter()
            .map(|blob| PackedBlob {
                id: blob.id,
                blob_type: blob.blob_type,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length.filter(|length| *length != 0),
            })
            .collect();
        (self.id, blobs)
    }
}
