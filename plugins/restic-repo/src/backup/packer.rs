//! From bytes to packs: digest, look-up, compression and encryption, packing, storing, all
//! of them under way at once.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;

use super::Cleanup;
use crate::core::{Core, LEVEL};
use crate::index::{IndexFile, IndexedPack};
use crate::pack::{BlobType, Built, PackBuilder};
use crate::{FileKind, Id, Platform, Result, Sealed};

/// Blobs that are digested or sealed at a time: enough to keep some cores busy while the next
/// ones are cut, few enough to stay at some megabytes each.
const BLOBS: usize = 6;

/// Packs that are stored at a time.
const PACKS: usize = 2;

/// Blobs that one index file lists; restic's own bound.
const INDEXED: usize = 50_000;

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
    blobs_under_way: usize,
    packs_under_way: usize,
    next_ticket: u64,
    ids: HashMap<Ticket, Id>,
    /// New blobs of this packer, which no index knows yet.
    fresh: HashSet<(BlobType, Id)>,
    data: PackBuilder,
    trees: PackBuilder,
    built: Vec<Built>,
    tally: Tally,
}

/// A step that is done.
enum Done<P: Platform> {
    Staged {
        ticket: Ticket,
        blob_type: BlobType,
        length: usize,
        staged: P::Staged,
    },
    Sealed {
        blob_type: BlobType,
        id: Id,
        length: usize,
        sealed: Sealed,
    },
    Stored(Built),
}

impl<P: Platform> Packer<P> {
    pub(super) fn new(core: Rc<Core<P>>, cleanup: Cleanup, dry_run: bool) -> Self {
        Self {
            core,
            cleanup,
            dry_run,
            work: FuturesUnordered::new(),
            blobs_under_way: 0,
            packs_under_way: 0,
            next_ticket: 0,
            ids: HashMap::new(),
            fresh: HashSet::new(),
            data: PackBuilder::new(BlobType::Data),
            trees: PackBuilder::new(BlobType::Tree),
            built: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes a blob as soon as there is room for it.
    pub(super) async fn add(&mut self, blob_type: BlobType, bytes: Vec<u8>) -> Result<Ticket> {
        while self.blobs_under_way >= BLOBS || self.packs_under_way >= PACKS {
            self.step().await?;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.blobs_under_way += 1;
        let core = self.core.clone();
        self.work.push(Box::pin(async move {
            let length = bytes.len();
            let staged = core.platform.stage(bytes).await?;
            Ok(Done::Staged {
                ticket,
                blob_type,
                length,
                staged,
            })
        }));
        // What is not polled once does not start.
        self.poll_once()?;
        Ok(ticket)
    }

    /// The id of a blob that was taken. Can be asked once.
    pub(super) async fn id(&mut self, ticket: Ticket) -> Result<Id> {
        loop {
            if let Some(id) = self.ids.remove(&ticket) {
                return Ok(id);
            }
            self.step().await?;
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn settle(&mut self) -> Result<()> {
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
    /// the repository.
    pub(super) async fn finish(mut self) -> Result<Tally> {
        self.settle().await?;
        for builder in [self.data.take(), self.trees.take()] {
            self.store(builder);
        }
        self.settle().await?;
        self.write_index().await?;
        self.cleanup.forget();
        Ok(self.tally)
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
            Done::Staged {
                ticket,
                blob_type,
                length,
                staged,
            } => {
                let id = self.core.platform.digest_of(&staged);
                self.ids.insert(ticket, id);
                let known = self.core.index.borrow().contains(blob_type, id)
                    || !self.fresh.insert((blob_type, id));
                if known {
                    self.blobs_under_way -= 1;
                    return Ok(());
                }
                let core = self.core.clone();
                let level = core.config.compresses().then_some(LEVEL);
                self.work.push(Box::pin(async move {
                    let sealed = core.platform.seal_staged(staged, &core.key, level).await?;
                    Ok(Done::Sealed {
                        blob_type,
                        id,
                        length,
                        sealed,
                    })
                }));
                self.poll_once()
            }
            Done::Sealed {
                blob_type,
                id,
                length,
                sealed,
            } => {
                self.blobs_under_way -= 1;
                self.pack(blob_type, id, length, &sealed)
            }
            Done::Stored(built) => {
                self.packs_under_way -= 1;
                self.tally.bytes_stored += built.overhead;
                self.built.push(built);
                Ok(())
            }
        }
    }

    fn pack(&mut self, blob_type: BlobType, id: Id, length: usize, sealed: &Sealed) -> Result<()> {
        self.tally.bytes_added += length as u64;
        self.tally.bytes_stored += sealed.bytes.len() as u64;
        let builder = match blob_type {
            BlobType::Data => {
                self.tally.data_blobs += 1;
                &mut self.data
            }
            BlobType::Tree => {
                self.tally.tree_blobs += 1;
                &mut self.trees
            }
        };
        builder.add(id, sealed, length)?;
        if builder.is_full() {
            let full = builder.take();
            self.store(full);
            return self.poll_once();
        }
        Ok(())
    }

    fn store(&mut self, builder: PackBuilder) {
        if builder.is_empty() || self.dry_run {
            return;
        }
        self.packs_under_way += 1;
        let core = self.core.clone();
        let cleanup = self.cleanup.clone();
        self.work.push(Box::pin(async move {
            let stored = builder.store(&core, |id| cleanup.add(id)).await?;
            Ok(Done::Stored(stored))
        }));
    }

    async fn write_index(&mut self) -> Result<()> {
        let mut file = IndexFile::default();
        let mut blobs = 0;
        for built in self.built.drain(..) {
            blobs += built.blobs.len();
            file.packs.push(IndexedPack::new(built.id, &built.blobs));
            self.core.index.borrow_mut().add(built.id, &built.blobs);
            if blobs >= INDEXED {
                self.core
                    .save(FileKind::Index, &std::mem::take(&mut file))
                    .await?;
                blobs = 0;
            }
        }
        if !file.packs.is_empty() {
            self.core.save(FileKind::Index, &file).await?;
        }
        Ok(())
    }
}
