//! An open repository.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::backup::{Cleanup, Draft, Writer};
use crate::check::{self, Depth, Findings, Subset, Usage};
use crate::config::Config;
use crate::core::{Core, load_config, save_config};
use crate::error::Result;
use crate::guard::Guard;
use crate::index::Index;
use crate::isolating::Isolating;
use crate::key::NewKey;
use crate::lock::{self, Claim};
use crate::prune::{self, Damaged, Inventory, Reclaimed};
use crate::restore::{Reader, Selection};
use crate::snapshot::Snapshot;
use crate::{Access, Caller, Error, FileKind, Id, Platform, key};

/// Identifies a repository.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id.
    pub id: Id,
    /// The version of its format.
    pub version: u32,
}

/// An open repository. Close it to give up its lock; dropping it leaves the lock behind.
pub struct Repository<P: Platform> {
    core: Rc<Core<P>>,
    cleanup: Cleanup,
    /// The inventory that was taken under the exclusive lock, while the lock is held.
    inventory: RefCell<Option<Inventory>>,
    /// Snapshots that were read. The file of an id never changes.
    known: RefCell<HashMap<Id, Snapshot>>,
}

impl<P: Platform> Repository<P> {
    /// Creates a repository. Fails if there is one.
    pub async fn create(platform: P, caller: Caller, password: &[u8]) -> Result<Self> {
        if password.is_empty() {
            return Err(Error::Config("the password is empty".into()));
        }
        if platform.exists().await? {
            return Err(Error::Exists("there is a repository already".into()));
        }
        let platform = Isolating::new(platform);
        platform.create_layout().await?;
        if !platform.list(FileKind::Key).await?.is_empty() {
            return Self::resume(platform, caller, password).await;
        }
        let new = key::create(&platform, &caller, password).await?;
        let config = Config::new(|bytes| platform.random(bytes));
        if platform.access() == Access::WriteOnly {
            // Only the config shows that a repository exists. An existing repository must not get
            // a key that opens nothing.
            save_config(&platform, &new.key, &config).await?;
            new.store(&platform).await?;
        } else {
            // The config comes last: without it, there is no repository.
            new.store(&platform).await?;
            found(&platform, &new, &config).await?;
        }
        let key = new.key;
        Ok(Self::new(platform, caller, key, config))
    }

    /// Completes a repository whose creation was interrupted after its key was stored.
    async fn resume(platform: Isolating<P>, caller: Caller, password: &[u8]) -> Result<Self> {
        for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
            if !platform.list(kind).await?.is_empty() {
                return Err(Error::Corrupt(
                    "there is a repository whose config is missing: restore that file from a copy, or choose another place"
                        .into(),
                ));
            }
        }
        let key = key::open(&platform, password, async |_| Ok(())).await;
        let (key, ()) = key.map_err(|error| match error {
            Error::Unauthenticated(_) => Error::Unauthenticated(
                "a repository was begun here with another password, and holds nothing yet: give that password, or remove \
                 the directory keys"
                    .into(),
            ),
            Error::NotFound(_) => at_the_same_time(),
            other => other,
        })?;
        let config = Config::new(|bytes| platform.random(bytes));
        save_config(&platform, &key, &config).await?;
        Ok(Self::new(platform, caller, key, config))
    }

    /// Opens a repository.
    pub async fn open(platform: P, caller: Caller, password: &[u8]) -> Result<Self> {
        if !platform.exists().await? {
            let place = platform.place();
            let place = place
                .map(|place| format!(" at {place}"))
                .unwrap_or_default();
            return Err(Error::NotFound(format!(
                "there is no repository{place}: the file config is missing"
            )));
        }
        let platform = Isolating::new(platform);
        let opened = key::open(&platform, password, async |key| {
            load_config(&platform, key).await
        });
        let (key, config) = opened.await?;
        if !config.unknown.is_empty() {
            let names = config.unknown.join(", ");
            platform.warn(&format!(
                "the repository's config has fields that this program does not know and leaves aside: {names}"
            ));
        }
        let opened = Self::new(platform, caller, key, config);
        if opened.core.platform.access() == Access::Full
            && let Err(error) = opened.core.remove_abandoned_locks().await
        {
            // Reading works without that.
            let text = format!("the lock of a process that is gone cannot be removed: {error}");
            opened.core.platform.warn(&text);
        }
        Ok(opened)
    }

    fn new(platform: Isolating<P>, caller: Caller, key: P::Key, config: Config) -> Self {
        let core = Core {
            platform,
            caller,
            key,
            config,
            index: RefCell::new(Index::default()),
            lock: Cell::new(None),
            lock_is_lost: Cell::new(false),
        };
        Self {
            core: Rc::new(core),
            cleanup: Cleanup::default(),
            inventory: RefCell::default(),
            known: RefCell::default(),
        }
    }

    /// The identity of this repository.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.core.config.id,
            version: self.core.config.version,
        }
    }

    /// Starts a snapshot. Its parent is the latest snapshot of the same host, paths and tags.
    pub async fn begin(&self, draft: Draft) -> Result<Writer<P>> {
        self.core.config.cutting.clone()?;
        self.lock().await?;
        let there = self.core.load_index_of_what_is_there().await?;
        let mut snapshots = Box::pin(self.snapshots()).await?;
        // Old damage must not prevent a backup.
        snapshots.retain(|snapshot| snapshot.damaged.is_none());
        if draft.force {
            // A caller that wants all files read may doubt the stored trees.
            self.core.index.borrow_mut().doubt_trees();
        }
        let guard = Guard::begin(&self.core, there, &snapshots, draft.dry_run).await?;
        let candidates = if draft.force { &[][..] } else { &snapshots };
        let core = self.core.clone();
        Writer::new(core, draft, candidates, self.cleanup.clone(), guard).await
    }

    /// All snapshots, oldest first.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut new = self.core.platform.list(FileKind::Snapshot).await?;
        let mut snapshots = Vec::new();
        new.retain(|listed| match self.known.borrow().get(&listed.id) {
            Some(known) => {
                snapshots.push(known.clone());
                false
            }
            None => true,
        });
        let files = self.core.try_load_these(FileKind::Snapshot, new);
        for (id, file) in files.await? {
            snapshots.push(match file {
                Ok(file) => {
                    let snapshot = Snapshot::new(id, file);
                    self.known.borrow_mut().insert(id, snapshot.clone());
                    snapshot
                }
                Err(error) => Snapshot::damaged(id, error.to_string()),
            });
        }
        snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        Ok(snapshots)
    }

    /// Reads a snapshot.
    pub async fn read(&self, selection: Selection) -> Result<Reader<P>> {
        self.lock_for_reading().await?;
        let snapshot = self.find(&selection.snapshot).await?;
        self.core.load_index().await?;
        Ok(Reader::new(self.core.clone(), snapshot.tree, &selection))
    }

    /// The size of these packs. Reads none of them.
    pub async fn usage(&self, subset: Subset) -> Result<Usage> {
        check::usage(&self.core, subset).await
    }

    /// Checks the repository itself, and relies on no copies.
    pub async fn check(&self, depth: Depth) -> Result<Findings> {
        self.core.platform.distrust_copies();
        self.lock_for_reading().await?;
        check::check(&self.core, depth).await
    }

    /// Removes these snapshots. Fails, and removes none, if one of them does not exist, or if a tree of the others is damaged.
    pub async fn forget(&self, ids: &[Id]) -> Result<()> {
        self.claim_all().await?;
        let inventory = prune::take_inventory(&self.core, ids, Damaged::Disregard).await?;
        prune::forget(&self.core, ids).await?;
        if inventory.is_whole() {
            self.inventory.replace(Some(inventory));
        }
        Ok(())
    }

    /// Removes data that no snapshot needs. Removes nothing if no snapshot is listed and none was forgotten just now.
    pub async fn reclaim(&self) -> Result<Reclaimed> {
        self.claim_all().await?;
        let inventory = match self.inventory.take() {
            Some(inventory) => inventory,
            None => prune::take_inventory(&self.core, &[], Damaged::Refuse).await?,
        };
        prune::reclaim(&self.core, &self.cleanup, inventory).await
    }

    /// Reports what [`Self::reclaim`] would remove if these snapshots were forgotten.
    pub async fn reclaimable(&self, forgotten: &[Id]) -> Result<Reclaimed> {
        self.lock_for_reading().await?;
        let inventory = prune::take_inventory(&self.core, forgotten, Damaged::Refuse).await?;
        Ok(prune::reclaimable(&inventory))
    }

    /// Removes the locks of processes that are gone, or all locks. Returns their number.
    pub async fn remove_locks(&self, all: bool) -> Result<u64> {
        self.core.remove_locks(all).await
    }

    /// Takes the exclusive lock, if the credentials may remove files at all.
    async fn claim_all(&self) -> Result<()> {
        if self.core.platform.access() != Access::Full {
            return Err(Error::Denied(
                "nothing may be removed from this repository".into(),
            ));
        }
        if self.core.config.append_only {
            return Err(Error::Denied(
                "nothing may be removed from this repository: its config says append_only, which `rustic config \
                 --set-append-only=false` takes back"
                    .into(),
            ));
        }
        self.core.lock(Claim::Exclusive).await
    }

    /// Refreshes the lock as long as the repository is open. Run it concurrently with everything else.
    pub fn keep_lock(&self) -> impl Future<Output = ()> + use<P> {
        Core::keep_lock(Rc::downgrade(&self.core))
    }

    /// Removes the files of unfinished work, and releases the lock.
    pub async fn close(&self) -> Result<()> {
        let cleaned = self.cleanup.run(&self.core).await;
        self.core.unlock().await?;
        cleaned
    }

    /// Prevents concurrent removal with a shared lock, if the credentials may remove the lock again.
    async fn lock(&self) -> Result<()> {
        // The inventory may be outdated now.
        self.inventory.take();
        match self.core.platform.access() {
            Access::Full => self.core.lock(Claim::Shared).await,
            Access::WriteOnly => Ok(()),
            Access::AppendOnly | Access::ReadOnly => {
                lock::refuse_if_locked(&self.core, Claim::Shared, None).await
            }
        }
    }

    /// Takes a shared lock for reading, if the credentials may write. Without a lock, a concurrent prune can
    /// remove data before it is read. That is an error and does no harm.
    async fn lock_for_reading(&self) -> Result<()> {
        let locked = match self.lock().await {
            Err(Error::ReadOnly(_) | Error::Denied(_) | Error::NoSpace(_)) => {
                lock::refuse_if_locked(&self.core, Claim::Shared, None).await
            }
            locked => locked,
        };
        match locked {
            Err(error) if self.core.platform.is_isolated(&error).await => {
                self.core.platform.warn(&format!(
                    "nobody is kept from pruning meanwhile, because the locks cannot be used: {error}"
                ));
                Ok(())
            }
            locked => locked,
        }
    }

    /// The snapshot with this id, or the only one with this prefix.
    async fn find(&self, prefix: &str) -> Result<Snapshot> {
        let listed = self.core.platform.list(FileKind::Snapshot).await?;
        let mut matching = listed
            .into_iter()
            .filter(|file| file.id.to_string().starts_with(prefix));
        let Some(found) = matching.next() else {
            return Err(Error::NotFound(format!("there is no snapshot {prefix}")));
        };
        if matching.next().is_some() {
            return Err(Error::NotFound(format!(
                "several snapshots begin with {prefix}: give more of the id"
            )));
        }
        Ok(Snapshot::new(
            found.id,
            self.core.load(FileKind::Snapshot, found.id).await?,
        ))
    }
}

/// Stores the config of a new repository whose key is stored. If another process has stored a config first, that is the repository, and
/// a key that does not open it is removed.
async fn found<P: Platform>(
    platform: &Isolating<P>,
    new: &NewKey<P::Key>,
    config: &Config,
) -> Result<()> {
    let saved = save_config(platform, &new.key, config).await;
    if !matches!(saved, Ok(()) | Err(Error::Exists(_))) {
        return saved;
    }
    if let Err(Error::Corrupt(_)) = load_config(platform, &new.key).await {
        // A key that stays does no harm.
        let _ = new.remove(platform).await;
        return Err(at_the_same_time());
    }
    saved
}

fn at_the_same_time() -> Error {
    Error::Exists("somebody else has made a repository at the same time".into())
}
