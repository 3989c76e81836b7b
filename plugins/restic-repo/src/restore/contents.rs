//! The contents of a file: its blobs, fetched ahead of who reads them.
//!
//! Blobs that lie side by side in a pack are fetched in one piece.

use std::rc::Rc;

use futures::future::try_join_all;
use futures::stream::LocalBoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::BlobType;
use crate::{FileKind, Id, Platform, Result};

/// The longest piece that is fetched at once, in bytes, unless a blob is longer.
const PIECE: u64 = 4 << 20;

/// Pieces that are fetched ahead.
const AHEAD: usize = 3;

/// The contents of a file, blob by blob.
pub struct Bytes(LocalBoxStream<'static, Result<Vec<u8>>>);

impl Bytes {
    /// The contents that these blobs make up.
    pub(super) fn new<P: Platform>(core: Rc<Core<P>>, content: &[Id]) -> Result<Self> {
        let pieces = pieces(&core, content)?;
        let blobs = stream::iter(pieces)
            .map(move |piece| fetch(core.clone(), piece))
            .buffered(AHEAD)
            .map_ok(|blobs| stream::iter(blobs).map(Ok))
            .try_flatten();
        Ok(Self(blobs.boxed_local()))
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.0.next().await.transpose()
    }
}

/// Blobs that lie side by side.
struct Piece {
    pack: Id,
    offset: u64,
    length: u64,
    blobs: Vec<(Id, Location)>,
}

fn pieces<P: Platform>(core: &Core<P>, content: &[Id]) -> Result<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for id in content {
        let location = core.locate(BlobType::Data, *id)?;
        let (offset, length) = (u64::from(location.offset), u64::from(location.length));
        match pieces.last_mut() {
            Some(piece)
                if piece.pack == location.pack
                    && piece.offset + piece.length == offset
                    && piece.length + length <= PIECE =>
            {
                piece.length += length;
                piece.blobs.push((*id, location));
            }
            _ => pieces.push(Piece {
                pack: location.pack,
                offset,
                length,
                blobs: vec![(*id, location)],
            }),
        }
    }
    Ok(pieces)
}

async fn fetch<P: Platform>(core: Rc<Core<P>>, piece: Piece) -> Result<Vec<Vec<u8>>> {
    let mut sealed = core
        .platform
        .read_range(FileKind::Pack, piece.pack, piece.offset, piece.length)
        .await?;
    if sealed.len() as u64 != piece.length {
        return Err(corrupt(format!(
            "the pack {} ends before its blobs do",
            piece.pack.short()
        )));
    }
    let mut parts = Vec::with_capacity(piece.blobs.len());
    for (id, location) in piece.blobs.into_iter().rev() {
        let part = sealed.split_off(sealed.len().saturating_sub(location.length as usize));
        parts.push((id, location, part));
    }
    parts.reverse();
    let core = &core;
    try_join_all(
        parts
            .into_iter()
            .map(|(id, location, part)| async move { core.open_blob(id, &location, part).await }),
    )
    .await
}
