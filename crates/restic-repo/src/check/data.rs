//! Checks every byte: packs against their names, headers against the index, blobs against their ids.

use std::collections::HashSet;
use std::rc::Rc;

use futures::{StreamExt as _, stream};

use super::Findings;
use super::structure::KnownPack;
use crate::blobs::SealedBlob;
use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::{PackedBlob, TRAILER, read_header};
use crate::{Error, Expectation, FileKind, Id, Platform, Result};

/// Packs that are read at a time.
const READERS: usize = 2;

/// Groups of blobs of a pack that are opened at a time.
const TOGETHER: usize = 2;

/// Bytes of a group when its blobs are open, unless one alone has more.
const GROUP: u64 = 4 << 20;

/// Something that is wrong with a pack: of one blob, or of all.
struct Fault {
    what: String,
    blobs: Vec<Id>,
}

/// Reads every pack back. Answers the blobs that cannot be had.
pub(super) async fn check<P: Platform>(
    core: &Rc<Core<P>>,
    packs: Vec<KnownPack>,
    findings: &mut Findings,
) -> Result<HashSet<Id>> {
    let mut damaged = HashSet::new();
    let total = packs.len() as u64;
    let mut checked = stream::iter(packs)
        .map(async |pack| {
            let blobs: Vec<_> = pack.blobs.iter().map(|blob| blob.id).collect();
            (blobs, check_pack(core, pack).await)
        })
        .buffer_unordered(READERS);
    let mut done = 0;
    while let Some((blobs, result)) = checked.next().await {
        done += 1;
        core.platform.progress("packs", done, total);
        core.refresh_lock().await?;
        match result {
            Ok((bytes, errors)) => {
                findings.bytes_read += bytes;
                for Fault { what, blobs } in errors {
                    findings.error(what);
                    damaged.extend(blobs);
                }
            }
            Err(Error::Corrupt(text) | Error::NotFound(text)) => {
                findings.error(text);
                damaged.extend(blobs);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}

async fn check_pack<P: Platform>(core: &Core<P>, pack: KnownPack) -> Result<(u64, Vec<Fault>)> {
    let name = pack.id.short();
    let mut bytes = core.platform.read(FileKind::Pack, pack.id).await?;
    let length = bytes.len() as u64;
    let mut errors = Vec::new();
    let mut fault = |what| {
        errors.push(Fault {
            what,
            blobs: Vec::new(),
        });
    };
    // Which of its blobs are damaged shows below.
    if core.platform.digest(&[&bytes])? != pack.id {
        fault(format!(
            "the pack {name} is damaged: its contents do not match its name"
        ));
    }
    match split_header(core, &name, &mut bytes).await {
        Ok(header) if header == pack.blobs => {}
        Ok(_) => fault(format!(
            "the pack {name} holds other blobs than the index says"
        )),
        Err(Error::Corrupt(text)) => fault(text),
        Err(error) => return Err(error),
    }
    let mut checked = stream::iter(groups(pack.id, &pack.blobs))
        .map(|group| check_group(core, pack.id, group, &bytes))
        .buffered(TOGETHER);
    while let Some(found) = checked.next().await {
        errors.extend(found?);
    }
    Ok((length, errors))
}

/// What is wrong with these blobs of a pack.
async fn check_group<P: Platform>(
    core: &Core<P>,
    pack: Id,
    group: &[PackedBlob],
    bytes: &[u8],
) -> Result<Vec<Fault>> {
    let sealed = |blob: &PackedBlob| {
        let start = (blob.offset as usize).min(bytes.len());
        let end = start.saturating_add(blob.length as usize).min(bytes.len());
        SealedBlob::new(blob.id, &location(pack, blob), bytes[start..end].to_vec())
    };
    match open(core, group.iter().map(sealed).collect()).await {
        Err(Error::Corrupt(_)) => {}
        opened => return opened.map(|()| Vec::new()),
    }
    // One of them is damaged, or several: each is told.
    let mut errors = Vec::new();
    for blob in group {
        match open(core, vec![sealed(blob)]).await {
            Err(Error::Corrupt(what)) => errors.push(Fault {
                what,
                blobs: vec![blob.id],
            }),
            opened => opened?,
        }
    }
    Ok(errors)
}

/// Opens blobs for the sake of whether that can be done.
async fn open<P: Platform>(core: &Core<P>, blobs: Vec<SealedBlob>) -> Result<()> {
    core.platform.open_all(&core.key, blobs).await.map(drop)
}

/// Blobs that are opened together: a few bytes that are sealed can be very many when they are
/// open.
fn groups(pack: Id, blobs: &[PackedBlob]) -> impl Iterator<Item = &[PackedBlob]> {
    let mut rest = blobs;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |blob: &&PackedBlob| {
            bytes += location(pack, blob).plain_length();
            bytes <= GROUP
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(group)
    })
}

fn location(pack: Id, blob: &PackedBlob) -> Location {
    Location {
        pack,
        offset: blob.offset,
        length: blob.length,
        uncompressed_length: blob.uncompressed_length,
    }
}

/// Takes the header off the end of a pack, which then holds its blobs alone.
async fn split_header<P: Platform>(
    core: &Core<P>,
    name: &str,
    pack: &mut Vec<u8>,
) -> Result<Vec<PackedBlob>> {
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
