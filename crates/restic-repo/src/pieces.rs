//! Reads adjacent blobs of a pack in one request.

use std::rc::Rc;

use crate::blobs::SealedBlob;
use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::BlobType;
use crate::{FileKind, Id, Platform, Result};

/// The most that the blobs of a piece hold, in bytes, unless one alone holds more: a few bytes
/// that are sealed can be very many when they are open.
const OPENED: u64 = 8 << 20;

/// Blobs that lie side by side.
pub(crate) struct Piece {
    kind: FileKind,
    pack: Id,
    offset: u64,
    length: u64,
    opened: u64,
    blobs: Vec<(Id, Location)>,
}

/// The pieces that hold these blobs, in their order. None is longer than `longest` bytes, unless
/// one blob alone is.
pub(crate) fn pieces<'a, P: Platform>(
    core: &Core<P>,
    blob_type: BlobType,
    ids: impl IntoIterator<Item = &'a Id>,
    longest: u64,
) -> Result<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for id in ids {
        let location = core.locate(blob_type, *id)?;
        let (offset, length) = (u64::from(location.offset), u64::from(location.length));
        let opened = location.plain_length();
        match pieces.last_mut() {
            Some(piece)
                if piece.pack == location.pack
                    && piece.offset + piece.length == offset
                    && piece.length + length <= longest
                    && piece.opened + opened <= OPENED =>
            {
                piece.length += length;
                piece.opened += opened;
                piece.blobs.push((*id, location));
            }
            _ => pieces.push(Piece {
                kind: blob_type.pack(),
                pack: location.pack,
                offset,
                length,
                opened,
                blobs: vec![(*id, location)],
            }),
        }
    }
    Ok(pieces)
}

/// The blobs of a piece.
pub(crate) async fn fetch<P: Platform>(core: Rc<Core<P>>, piece: Piece) -> Result<Vec<SealedBlob>> {
    let mut bytes = core
        .platform
        .read_range(piece.kind, piece.pack, piece.offset, piece.length)
        .await?;
    if bytes.len() as u64 != piece.length {
        return Err(corrupt(format!(
            "the pack {} ends before its blobs do",
            piece.pack.short()
        )));
    }
    let mut blobs = Vec::with_capacity(piece.blobs.len());
    for (id, location) in piece.blobs.into_iter().rev() {
        let part = bytes.split_off(bytes.len().saturating_sub(location.length as usize));
        blobs.push(SealedBlob::new(id, &location, part));
    }
    blobs.reverse();
    Ok(blobs)
}
