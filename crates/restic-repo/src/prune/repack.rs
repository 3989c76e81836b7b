//! Copies blobs that are still needed from packs that are removed into new packs.
//!
//! The blobs stay sealed. Each is opened to verify it, because a damaged blob must not get into a pack whose name
//! says that it is valid.

use std::rc::Rc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backup::Cleanup;
use crate::core::Core;
use crate::pack::{BlobType, Built, MAX_BLOBS, PackBuilder, PackedBlob, TARGET};
use crate::pieces::{Piece, fetch, pieces};
use crate::{Platform, Result, Sealed};

/// New packs written concurrently.
const PACKERS: usize = 2;

/// Pieces fetched concurrently for a pack.
const AHEAD: usize = 2;

/// The longest piece that is fetched at once, in bytes, unless a blob is longer.
const PIECE: u64 = 4 << 20;

/// The blobs of a new pack.
pub(super) struct Batch {
    blob_type: BlobType,
    pub(super) blobs: Vec<PackedBlob>,
}

/// Distributes blobs over new packs.
pub(super) fn batches(blobs: &[PackedBlob]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for blob_type in [BlobType::Data, BlobType::Tree] {
        let mut batch = Vec::new();
        let mut length = 0;
        for blob in blobs.iter().filter(|blob| blob.blob_type == blob_type) {
            batch.push(*blob);
            length += blob.length as usize;
            if length >= TARGET || batch.len() >= MAX_BLOBS {
                length = 0;
                batches.push(Batch {
                    blob_type,
                    blobs: std::mem::take(&mut batch),
                });
            }
        }
        if !batch.is_empty() {
            batches.push(Batch {
                blob_type,
                blobs: batch,
            });
        }
    }
    batches
}

/// Stores the new packs. Reads each blob where the index finds it.
pub(super) async fn repack<P: Platform>(
    core: &Rc<Core<P>>,
    cleanup: &Cleanup,
    batches: Vec<Batch>,
) -> Result<Vec<Built>> {
    let total = batches.len() as u64;
    let mut storing = stream::iter(batches)
        .map(|batch| store(core, cleanup, batch))
        .buffer_unordered(PACKERS);
    let mut built = Vec::new();
    while let Some(pack) = storing.next().await {
        built.push(pack?);
        core.platform
            .progress("packs written", built.len() as u64, total);
        core.refresh_lock().await?;
    }
    drop(storing);
    let stored: Vec<_> = built.iter().map(|pack| pack.stored).collect();
    core.confirm_packs(&stored).await?;
    Ok(built)
}

async fn store<P: Platform>(core: &Rc<Core<P>>, cleanup: &Cleanup, batch: Batch) -> Result<Built> {
    let mut builder = PackBuilder::new(batch.blob_type);
    let ids: Vec<_> = batch.blobs.iter().map(|blob| blob.id).collect();
    let mut proven = stream::iter(pieces(core, batch.blob_type, &ids, PIECE)?)
        .map(|piece| prove(core, piece))
        .buffered(AHEAD);
    let mut blobs = batch.blobs.iter();
    while let Some(piece) = proven.try_next().await? {
        for (sealed, blob) in piece.into_iter().zip(blobs.by_ref()) {
            builder.add(
                blob.id,
                &sealed,
                blob.uncompressed_length.unwrap_or_default() as usize,
            )?;
        }
    }
    builder.store(core, |id| cleanup.add(id)).await
}

/// The blobs of a piece, each verified against its id.
async fn prove<P: Platform>(core: &Rc<Core<P>>, piece: Piece) -> Result<Vec<Sealed>> {
    let blobs = fetch(core.clone(), piece).await?;
    core.platform.open_all(&core.key, blobs.clone()).await?;
    let sealed = blobs.into_iter().map(|blob| Sealed {
        bytes: blob.bytes,
        compressed: blob.expectation.compressed,
    });
    Ok(sealed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    #[test]
    fn blobs_are_packed_by_their_type_and_packs_have_a_bound() {
        let blob = |number: u8, blob_type, length| PackedBlob {
            id: Id([number; 32]),
            blob_type,
            offset: 0,
            length,
            uncompressed_length: None,
        };
        let large = 9 << 20;
        let taken = [
            blob(1, BlobType::Data, large),
            blob(2, BlobType::Tree, 5),
            blob(3, BlobType::Data, large),
            blob(4, BlobType::Data, large),
        ];
        let made: Vec<Vec<u8>> = batches(&taken)
            .iter()
            .map(|batch| batch.blobs.iter().map(|blob| blob.id.0[0]).collect())
            .collect();
        assert_eq!(made, [vec![1, 3], vec![4], vec![2]]);
        let many = vec![blob(1, BlobType::Data, 1); MAX_BLOBS + 1];
        assert_eq!(batches(&many).len(), 2);
    }
}
