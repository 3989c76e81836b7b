//! The check of every byte: packs against their names, headers against the index, blobs
//! against their ids.

use std::rc::Rc;

use futures::future::join_all;
use futures::{StreamExt as _, stream};

use super::Findings;
use super::structure::KnownPack;
use crate::blobs::SealedBlob;
use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::{TRAILER, read_header};
use crate::{Error, Expectation, FileKind, Platform, Result};

/// Packs that are read at a time.
const READERS: usize = 2;

/// Reads every pack back.
pub(super) async fn check<P: Platform>(
    core: &Rc<Core<P>>,
    packs: Vec<KnownPack>,
    findings: &mut Findings,
) -> Result<()> {
    let total = packs.len() as u64;
    let mut checked = stream::iter(packs)
        .map(|pack| check_pack(core, pack))
        .buffer_unordered(READERS);
    let mut done = 0;
    while let Some(result) = checked.next().await {
        done += 1;
        core.platform.progress("packs", done, total);
        match result {
            Ok((bytes, errors)) => {
                findings.bytes_read += bytes;
                findings.errors.extend(errors);
            }
            Err(Error::Corrupt(text) | Error::NotFound(text)) => findings.errors.push(text),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn check_pack<P: Platform>(core: &Core<P>, pack: KnownPack) -> Result<(u64, Vec<String>)> {
    let name = pack.id.short();
    let mut bytes = core.platform.read(FileKind::Pack, pack.id).await?;
    let length = bytes.len() as u64;
    if core.platform.digest(&bytes)? != pack.id {
        return Err(corrupt(format!(
            "the pack {name} is damaged: its contents do not match its name"
        )));
    }
    let header = split_header(core, &name, &mut bytes).await?;
    if header != pack.blobs {
        return Err(corrupt(format!(
            "the pack {name} holds other blobs than the index says"
        )));
    }
    // From the end on, so that each blob can be split off.
    let mut parts = Vec::with_capacity(pack.blobs.len());
    for blob in pack.blobs.iter().rev() {
        parts.push((
            blob,
            bytes.split_off((blob.offset as usize).min(bytes.len())),
        ));
    }
    let opened = join_all(parts.into_iter().map(|(blob, sealed)| async move {
        let location = Location {
            pack: pack.id,
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: blob.uncompressed_length,
        };
        core.open_blob(SealedBlob::new(blob.id, &location, sealed))
            .await
    }))
    .await;
    let mut errors = Vec::new();
    for result in opened {
        match result {
            Ok(_) => {}
            Err(Error::Corrupt(text)) => errors.push(text),
            Err(error) => return Err(error),
        }
    }
    Ok((length, errors))
}

/// Takes the header off the end of a pack, which then holds its blobs alone.
async fn split_header<P: Platform>(
    core: &Core<P>,
    name: &str,
    pack: &mut Vec<u8>,
) -> Result<Vec<crate::pack::PackedBlob>> {
    let short = || corrupt(format!("the pack {name} is shorter than its header"));
    let trailer: [u8; TRAILER] = *pack.last_chunk().ok_or_else(short)?;
    let length = u32::from_le_bytes(trailer) as usize;
    let start = pack.len().checked_sub(length + TRAILER).ok_or_else(short)?;
    let mut sealed = pack.split_off(start);
    sealed.truncate(length);
    let expectation = Expectation {
        compressed: false,
        max_length: length as u64,
        digest: None,
    };
    let header = core.platform.open(&core.key, sealed, expectation).await;
    read_header(&header.map_err(|_| corrupt(format!("the header of the pack {name} is damaged")))?)
}
