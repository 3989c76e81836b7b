//! The header of a pack: a type, lengths and an id for each blob.

use super::{BlobType, PackedBlob};
use crate::error::corrupt;
use crate::{Id, Result};

/// What sealing adds to bytes: nonce and tag.
pub(crate) const OVERHEAD: u32 = 32;

/// What the header says of a blob, in bytes: its type, its length and its id.
const ENTRY: usize = 1 + 4 + ID;

/// And the length of what a compressed one holds.
const UNCOMPRESSED: usize = 4;

/// The length of the sealed header stands in the last bytes of a pack.
pub(crate) const TRAILER: usize = 4;

const ID: usize = 32;

/// The length of a pack that holds nothing, in bytes.
pub(crate) const EMPTY_LENGTH: u64 = OVERHEAD as u64 + TRAILER as u64;

/// How much longer a blob makes a pack, in bytes.
pub(crate) fn listed_length(blob: &PackedBlob) -> u64 {
    let entry = match blob.uncompressed_length {
        Some(_) => ENTRY + UNCOMPRESSED,
        None => ENTRY,
    };
    entry as u64 + u64::from(blob.length)
}

/// The length of a pack that holds these blobs, in bytes.
pub(crate) fn pack_length(blobs: &[PackedBlob]) -> u64 {
    EMPTY_LENGTH + blobs.iter().map(listed_length).sum::<u64>()
}

/// The header of these blobs, which stand in their order without gaps.
pub(super) fn write_header(blobs: &[PackedBlob]) -> Vec<u8> {
    let mut header = Vec::with_capacity(blobs.len() * (ENTRY + UNCOMPRESSED));
    for blob in blobs {
        let compressed = blob.uncompressed_length.is_some();
        header.push(match (blob.blob_type, compressed) {
            (BlobType::Data, false) => 0,
            (BlobType::Tree, false) => 1,
            (BlobType::Data, true) => 2,
            (BlobType::Tree, true) => 3,
        });
        header.extend_from_slice(&blob.length.to_le_bytes());
        if let Some(length) = blob.uncompressed_length {
            header.extend_from_slice(&length.to_le_bytes());
        }
        header.extend_from_slice(&blob.id.0);
    }
    header
}

/// The blobs that a header lists. It may come from anybody.
pub(crate) fn read_header(mut header: &[u8]) -> Result<Vec<PackedBlob>> {
    let cut = || corrupt("the header of the pack is cut off");
    let mut blobs = Vec::new();
    let mut offset = 0_u32;
    while let Some((kind, rest)) = header.split_first() {
        header = rest;
        let (blob_type, compressed) = match kind {
            0 => (BlobType::Data, false),
            1 => (BlobType::Tree, false),
            2 => (BlobType::Data, true),
            3 => (BlobType::Tree, true),
            other => {
                return Err(corrupt(format!(
                    "the pack holds a blob of the unknown type {other}"
                )));
            }
        };
        let length = u32::from_le_bytes(*take(&mut header).ok_or_else(cut)?);
        let uncompressed_length = if compressed {
            Some(u32::from_le_bytes(*take(&mut header).ok_or_else(cut)?))
        } else {
            None
        };
        let id = Id(*take::<ID>(&mut header).ok_or_else(cut)?);
        blobs.push(PackedBlob {
            id,
            blob_type,
            offset,
            length,
            uncompressed_length,
        });
        offset = offset
            .checked_add(length)
            .ok_or_else(|| corrupt("the pack's blobs are longer than a pack"))?;
    }
    Ok(blobs)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was() {
        let blob = |blob_type, offset, length, uncompressed_length| PackedBlob {
            id: Id([7; 32]),
            blob_type,
            offset,
            length,
            uncompressed_length,
        };
        let blobs = [
            blob(BlobType::Data, 0, 100, None),
            blob(BlobType::Data, 100, 50, Some(90)),
            blob(BlobType::Tree, 150, 33, None),
            blob(BlobType::Tree, 183, 40, Some(41)),
        ];
        let header = write_header(&blobs);
        assert_eq!(header.len(), 2 * 37 + 2 * 41);
        assert_eq!(read_header(&header).expect("it is a header"), blobs);
        for length in 1..header.len() {
            if let Ok(fewer) = read_header(&header[..length]) {
                assert!(fewer.len() < blobs.len());
            }
        }
        assert!(read_header(&[9; 37]).is_err());
        let huge = [
            blob(BlobType::Data, 0, u32::MAX, None),
            blob(BlobType::Data, 0, u32::MAX, None),
        ];
        assert!(read_header(&write_header(&huge)).is_err());
    }
}
