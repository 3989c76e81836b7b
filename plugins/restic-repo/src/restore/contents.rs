//! The contents of a file: its blobs, fetched ahead of who reads them.
//!
//! Blobs that lie side by side in a pack are fetched in one piece.

use std::rc::Rc;

use futures::stream::LocalBoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::blobs::SealedBlob;
use crate::core::Core;
use crate::error::corrupt;
use crate::index::Location;
use crate::pack::BlobType;
use crate::{FileKind, Id, Platform, Result};

/// The longest piece that is fetched at once, in bytes, unless a blob is longer.
const PIECE: u64 = 1 << 20;

/// Pieces that are fetched ahead.
const AHEAD: usize = 8;

/// The contents of a file, piece by piece, for somebody who opens their blobs himself.
pub struct SealedContents<P: Platform> {
    core: Rc<Core<P>>,
    pieces: LocalBoxStream<'static, Result<Vec<SealedBlob>>>,
}

impl<P: Platform> SealedContents<P> {
    /// The contents that these blobs make up.
    pub(super) fn new(core: Rc<Core<P>>, content: &[Id]) -> Result<Self> {
        let pieces = pieces(&core, content)?;
        let reader = core.clone();
        let pieces = stream::iter(pieces)
            .map(move |piece| fetch(reader.clone(), piece))
            .buffered(AHEAD);
        Ok(Self {
            core,
            pieces: pieces.boxed_local(),
        })
    }

    /// What opens them.
    pub fn key(&self) -> &P::Key {
        &self.core.key
    }

    /// The blobs of the next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<SealedBlob>>> {
        self.pieces.next().await.transpose()
    }
}

/// What each of these files holds, whole. What lies side by side in a pack is fetched and opened
/// together, whichever files it is of.
pub(super) async fn open_small<P: Platform>(
    core: &Rc<Core<P>>,
    files: &[&[Id]],
) -> Result<Vec<Vec<u8>>> {
    let open = async |piece| {
        let blobs = fetch(core.clone(), piece).await?;
        core.platform.open_all(&core.key, blobs).await
    };
    let opened = stream::iter(pieces(core, files.iter().copied().flatten())?)
        .map(open)
        .buffered(AHEAD);
    let opened: Vec<_> = opened.try_collect().await?;
    let mut blobs = opened.into_iter().flatten();
    let whole = |content: &&[Id]| match content.len() {
        1 => blobs.next().unwrap_or_default(),
        count => blobs.by_ref().take(count).collect::<Vec<_>>().concat(),
    };
    Ok(files.iter().map(whole).collect())
}

/// Blobs that lie side by side.
struct Piece {
    pack: Id,
    offset: u64,
    length: u64,
    blobs: Vec<(Id, Location)>,
}

fn pieces<'a, P: Platform>(
    core: &Core<P>,
    content: impl IntoIterator<Item = &'a Id>,
) -> Result<Vec<Piece>> {
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

async fn fetch<P: Platform>(core: Rc<Core<P>>, piece: Piece) -> Result<Vec<SealedBlob>> {
    let mut bytes = core
        .platform
        .read_range(FileKind::Pack, piece.pack, piece.offset, piece.length)
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
