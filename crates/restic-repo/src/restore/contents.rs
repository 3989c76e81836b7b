//! Reads the contents of a file: fetches its blobs ahead of the reader.

use std::rc::Rc;

use futures::stream::LocalBoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::omissions::Omissions;
use crate::backup::Ending;
use crate::blobs::SealedBlob;
use crate::core::Core;
use crate::pack::BlobType;
use crate::pieces::{fetch, pieces};
use crate::{Id, Platform, Result};

/// The longest piece that is fetched at once, in bytes, unless a blob is longer.
const PIECE: u64 = 1 << 20;

/// Pieces that are fetched ahead.
const AHEAD: usize = 8;

/// The contents of a file, piece by piece, for somebody who opens their blobs himself.
pub struct SealedContents<P: Platform> {
    /// The file's, for messages.
    path: String,
    core: Rc<Core<P>>,
    omissions: Omissions,
    pieces: LocalBoxStream<'static, Result<Vec<SealedBlob>>>,
}

impl<P: Platform> SealedContents<P> {
    /// The contents that these blobs make up.
    pub(super) fn new(
        core: &Rc<Core<P>>,
        content: &[Id],
        path: &str,
        omissions: &Omissions,
    ) -> Result<Self> {
        let pieces = pieces(core, BlobType::Data, content, PIECE)?;
        let reader = core.clone();
        let pieces = stream::iter(pieces)
            .map(move |piece| fetch(reader.clone(), piece))
            .buffered(AHEAD);
        Ok(Self {
            path: path.to_owned(),
            core: core.clone(),
            omissions: omissions.clone(),
            pieces: pieces.boxed_local(),
        })
    }

    /// What opens them.
    pub fn key(&self) -> &P::Key {
        &self.core.key
    }

    /// What blobs of these contents hold, for somebody who needs the bytes.
    pub async fn open(&self, blobs: Vec<SealedBlob>) -> Result<Vec<Vec<u8>>> {
        self.core.platform.open_all(&self.core.key, blobs).await
    }

    /// How contents end that were read so far: damaged ones are left out where the reader leaves damage out.
    pub fn ending(&self, read: Result<()>) -> Result<Ending> {
        let path = || self.path.clone();
        let spared = self.omissions.spare(&*self.core.platform, path, read)?;
        Ok(spared.map_or(Ending::Omitted, |()| Ending::Whole))
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
    let ids: Vec<&Id> = files.iter().copied().flatten().collect();
    // Packs are written several at a time, so what follows each other in the tree is in turns in one and in another.
    let mut places = Vec::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        let location = core.locate(BlobType::Data, **id)?;
        places.push((location.pack, location.offset, place));
    }
    places.sort_unstable();
    let in_packs = places.iter().map(|(.., place)| ids[*place]);
    let pieces = pieces(core, BlobType::Data, in_packs, PIECE)?;
    let opened = stream::iter(pieces).map(open).buffered(AHEAD);
    let opened: Vec<_> = opened.try_collect().await?;
    let mut blobs = vec![Vec::new(); ids.len()];
    for ((.., place), blob) in places.into_iter().zip(opened.into_iter().flatten()) {
        blobs[place] = blob;
    }
    let mut blobs = blobs.into_iter();
    let whole = |content: &&[Id]| match content.len() {
        1 => blobs.next().unwrap_or_default(),
        count => blobs.by_ref().take(count).collect::<Vec<_>>().concat(),
    };
    Ok(files.iter().map(whole).collect())
}
