//! Turns bytes into packs: digest, look-up, compression and encryption, packing and storing, all concurrently.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;

use super::Cleanup;
use crate::core::Core;
use crate::index::IndexWriter;
use crate::pack::{BlobType, Built, PackBuilder, Shuffle};
use crate::{Id, Platform, Result, Sealed};

/// Bundles of blobs that are digested or sealed at a time: enough to keep some cores busy while
/// the next ones are cut, few enough to stay at some megabytes each.
const BUNDLES: usize = 6;

/// Blobs are bundled until they are so many bytes: handing one over costs more than sealing it,
/// when it is small.
const BUNDLE: usize = 512 << 10;

/// A blob on its way; ask for its id with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

/// What a packer did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) data_blobs: u64,
    pub(super) tree_blobs: u64,
    pub(super) bytes_added: u64,
    pub(super) bytes_stored: u64,
}

/// Takes blobs and stores those that are new.
pub(super) struct Packer<P: Platform> {
    core: Rc<Core<P>>,
    cleanup: Cleanup,
    /// Compute everything, store nothing.
    dry_run: bool,
    work: FuturesUnordered<LocalBoxFuture<'static, Result<Done<P>>>>,
    /// What was taken and is not under way yet.
    bundle: Bundle,
    bundles_under_way: usize,
    packs_under_way: usize,
    packs_at_a_time: usize,
    next_ticket: u64,
    ids: HashMap<Ticket, Id>,
    /// New blobs of this packer, which no index knows yet.
    fresh: HashSet<(BlobType, Id)>,
    data: Shuffle,
    trees: PackBuilder,
    built: Vec<Built>,
    tally: Tally,
}

/// Blobs that go together.
#[derive(Default)]
struct Bundle {
    blobs: Vec<Blob>,
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

struct Blob {
    /// Where somebody is going to ask for its id.
    ticket: Option<Ticket>,
    of: BlobType,
    length: usize,
}

/// A blob that is new.
struct Fresh {
    blob_type: BlobType,
    id: Id,
    length: usize,
}

/// A step that is done.
enum Done<P: Platform> {
    Staged(Vec<Blob>, P::Staged),
    Sealed(Vec<(Fresh, Sealed)>),
    Stored(Built),
}

impl<P: Platform> Packer<P> {
    pub(super) fn new(core: Rc<Core<P>>, cleanup: Cleanup, dry_run: bool) -> Self {
        Self {
            cleanup,
            dry_run,
            work: FuturesUnordered::new(),
            bundle: Bundle::default(),
            bundles_under_way: 0,
            packs_under_way: 0,
            packs_at_a_time: core.platform.writers(),
            core,
            next_ticket: 0,
            ids: HashMap::new(),
            fresh: HashSet::new(),
            data: Shuffle::new(BlobType::Data),
            trees: PackBuilder::new(BlobType::Tree),
            built: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes contents as soon as there is room for them.
    pub(super) async fn add_data(&mut self, bytes: Vec<u8>) -> Result<Ticket> {
        let ticket = self.ticket();
        self.add(BlobType::Data, Some(ticket), bytes).await?;
        Ok(ticket)
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// Takes a directory, whose own needs its id at once.
    pub(super) async fn add_tree(&mut self, bytes: Vec<u8>) -> Result<Id> {
        let id = self.core.platform.digest(&[&bytes])?;
        if !self.core.index.borrow().contains(BlobType::Tree, id) {
            self.add(BlobType::Tree, None, bytes).await?;
        }
        Ok(id)
    }

    /// Takes contents that were staged together, as soon as there is room for them. Answers a ticket for each, with its length
    /// in bytes.
    pub(super) async fn add_staged(&mut self, staged: P::Staged) -> Result<Vec<(Ticket, usize)>> {
        self.wait_for_room().await?;
        let mut tickets = Vec::new();
        let mut blobs = Vec::new();
        for (_, length) in self.core.platform.pieces_of(&staged) {
            let ticket = self.ticket();
            tickets.push((ticket, length));
            blobs.push(Blob {
                ticket: Some(ticket),
                of: BlobType::Data,
                length,
            });
        }
        self.bundles_under_way += 1;
        self.seal_new(blobs, staged)?;
        Ok(tickets)
    }

    async fn wait_for_room(&mut self) -> Result<()> {
        while self.bundles_under_way >= BUNDLES || self.packs_under_way >= self.packs_at_a_time {
            self.step().await?;
        }
        Ok(())
    }

    async fn add(
        &mut self,
        blob_type: BlobType,
        ticket: Option<Ticket>,
        bytes: Vec<u8>,
    ) -> Result<()> {
        self.wait_for_room().await?;
        self.bundle.blobs.push(Blob {
            ticket,
            of: blob_type,
            length: bytes.len(),
        });
        self.bundle.bytes += bytes.len();
        self.bundle.pieces.push(bytes);
        if self.bundle.bytes >= BUNDLE {
            self.send_bundle()?;
        }
        Ok(())
    }

    /// Lets the host work on the blobs that wait for others.
    fn send_bundle(&mut self) -> Result<()> {
        let Bundle { blobs, pieces, .. } = std::mem::take(&mut self.bundle);
        if blobs.is_empty() {
            return Ok(());
        }
        self.bundles_under_way += 1;
        let core = self.core.clone();
        self.work.push(Box::pin(async move {
            let staged = core.platform.stage(pieces).await?;
            Ok(Done::Staged(blobs, staged))
        }));
        // What is not polled once does not start.
        self.poll_once()
    }

    /// The id of a blob that was taken. Can be asked once.
    pub(super) async fn id(&mut self, ticket: Ticket) -> Result<Id> {
        loop {
            if let Some(id) = self.ids.remove(&ticket) {
                return Ok(id);
            }
            self.send_bundle()?;
            self.step().await?;
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn wait_until_idle(&mut self) -> Result<()> {
        self.send_bundle()?;
        while self.is_busy() {
            self.step().await?;
        }
        Ok(())
    }

    /// Whether anything is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.work.is_empty()
    }

    /// Waits until something is done, and begins what follows from it. May be given up at any
    /// time and called again.
    pub(super) async fn step(&mut self) -> Result<()> {
        match self.work.next().await {
            Some(done) => self.go_on(done?),
            None => Ok(()),
        }
    }

    /// Stores everything, and the index of it. After that, all ids that were given out are in
    /// the repository, and so are the packs that it answers.
    pub(super) async fn finish(mut self) -> Result<(Tally, Vec<Id>)> {
        self.wait_until_idle().await?;
        let trees = self.trees.take();
        for builder in self.data.take().into_iter().chain([trees]) {
            self.store(builder);
        }
        self.wait_until_idle().await?;
        let packs: Vec<_> = self.built.iter().map(|built| built.stored).collect();
        self.core.confirm_packs(&packs).await?;
        // From here on an index may name them.
        self.cleanup.forget();
        self.write_index().await?;
        Ok((self.tally, packs.iter().map(|pack| pack.id).collect()))
    }

    fn poll_once(&mut self) -> Result<()> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match self.work.poll_next_unpin(&mut context) {
            std::task::Poll::Ready(Some(done)) => self.go_on(done?),
            _ => Ok(()),
        }
    }

    fn go_on(&mut self, done: Done<P>) -> Result<()> {
        match done {
            Done::Staged(blobs, staged) => self.seal_new(blobs, staged),
            Done::Sealed(sealed) => {
                self.bundles_under_way -= 1;
                sealed
                    .iter()
                    .try_for_each(|(blob, sealed)| self.pack(blob, sealed))
            }
            Done::Stored(built) => {
                self.packs_under_way -= 1;
                self.tally.bytes_stored += built.overhead;
                self.built.push(built);
                Ok(())
            }
        }
    }

    /// Seals the blobs of a bundle that the repository does not have.
    fn seal_new(&mut self, blobs: Vec<Blob>, staged: P::Staged) -> Result<()> {
        let ids = self.core.platform.pieces_of(&staged).into_iter();
        let ids = ids.map(|(id, _)| id);
        let mut fresh = Vec::new();
        let mut pieces = Vec::new();
        for (piece, (blob, id)) in blobs.into_iter().zip(ids).enumerate() {
            let Blob {
                ticket,
                of: blob_type,
                length,
            } = blob;
            self.ids.extend(ticket.map(|ticket| (ticket, id)));
            let known = self.core.index.borrow().contains(blob_type, id);
            if !known && self.fresh.insert((blob_type, id)) {
                pieces.push(piece);
                fresh.push(Fresh {
                    blob_type,
                    id,
                    length,
                });
            }
        }
        if fresh.is_empty() {
            self.bundles_under_way -= 1;
            return Ok(());
        }
        let core = self.core.clone();
        let level = core.config.level();
        self.work.push(Box::pin(async move {
            let platform = &core.platform;
            let sealed = platform.seal_staged(staged, pieces, &core.key, level);
            let sealed = sealed.await?;
            Ok(Done::Sealed(fresh.into_iter().zip(sealed).collect()))
        }));
        self.poll_once()
    }

    fn pack(&mut self, blob: &Fresh, sealed: &Sealed) -> Result<()> {
        self.tally.bytes_added += blob.length as u64;
        self.tally.bytes_stored += sealed.bytes.len() as u64;
        let full = match blob.blob_type {
            BlobType::Data => {
                self.tally.data_blobs += 1;
                let random = || {
                    let mut byte = [0];
                    self.core.platform.random(&mut byte);
                    byte[0]
                };
                self.data.add(random, blob.id, sealed, blob.length)?
            }
            BlobType::Tree => {
                self.tally.tree_blobs += 1;
                self.trees.add(blob.id, sealed, blob.length)?;
                self.trees.is_full().then(|| self.trees.take())
            }
        };
        match full {
            Some(full) => {
                self.store(full);
                self.poll_once()
            }
            None => Ok(()),
        }
    }

    fn store(&mut self, builder: PackBuilder) {
        if builder.is_empty() || self.dry_run {
            return;
        }
        self.packs_under_way += 1;
        let core = self.core.clone();
        let cleanup = self.cleanup.clone();
        self.work.push(Box::pin(async move {
            core.expect_lock()?;
            let stored = builder.store(&core, |id| cleanup.add(id)).await?;
            Ok(Done::Stored(stored))
        }));
    }

    async fn write_index(&mut self) -> Result<()> {
        let mut writer = IndexWriter::default();
        for built in self.built.drain(..) {
            let pack = built.stored.id;
            self.core.index.borrow_mut().add(pack, &built.blobs);
            writer.add(&self.core, pack, &built.blobs).await?;
        }
        writer.finish(&self.core).await
    }
}
