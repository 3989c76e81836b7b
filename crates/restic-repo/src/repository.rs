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

/// What a repository is.
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
    /// What was found out under the exclusive lock that is still held.
    inventory: RefCell<Option<Inventory>>,
    /// Snapshots that were read. What is stored under an id never changes.
    known: RefCell<HashMap<Id, Snapshot>>,
}

impl<P: Platform> Repository<P> {
    /// Makes a new repository, where there is none.
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
            // Only the config can tell that there is a repository already, which must not get
            // a key that opens nothing.
            save_config(&platform, &new.key, &config).await?;
            new.store(&platform).await?;
        } else {
            // The config comes last: only with it is there a repository.
            new.store(&platform).await?;
            found(&platform, &new, &config).await?;
        }
        let key = new.key;
        Ok(Self::new(platform, caller, key, config))
    }

    /// Goes on with a repository whose making was cut off after its key was stored.
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
            // Who only reads can do so all the same.
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

    /// What repository this is.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.core.config.id,
            version: self.core.config.version,
        }
    }

    /// Starts a snapshot, which goes on the latest of the same host, paths and tags.
    pub async fn begin(&self, draft: Draft) -> Result<Writer<P>> {
        self.core.config.cutting.clone()?;
        self.lock().await?;
        let there = self.core.load_index_of_what_is_there().await?;
        let mut snapshots = Box::pin(self.snapshots()).await?;
        // Old damage is no reason not to back up.
        snapshots.retain(|snapshot| snapshot.damaged.is_none());
        if draft.force {
            // Whoever asks for everything to be read may have reason to doubt what is stored.
            self.core.index.borrow_mut().doubt_trees();
        }
        let guard = Guard::begin(&self.core, there, &snapshots, draft.dry_run).await?;
        let candidates = if draft.force { &[][..] } else { &snapshots };
        let core = self.core.clone();
        Writer::new(core, draft, candidates, self.cleanup.clone(), guard).await
    }

    /// All snapshots, the oldest first.
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

    /// How much is stored in these packs, of which nothing is read.
    pub async fn usage(&self, subset: Subset) -> Result<Usage> {
        check::usage(&self.core, subset).await
    }

    /// Checks that everything is there.
    pub async fn check(&self, depth: Depth) -> Result<Findings> {
        self.core.platform.distrust_copies();
        self.lock_for_reading().await?;
        check::check(&self.core, depth).await
    }

    /// Removes these snapshots. All of them have to be there, and whatever is damaged of those that stay keeps everything from
    /// being removed.
    pub async fn forget(&self, ids: &[Id]) -> Result<()> {
        self.claim_all().await?;
        let inventory = prune::take_inventory(&self.core, ids, Damaged::Disregard).await?;
        prune::forget(&self.core, ids).await?;
        if inventory.is_whole() {
            self.inventory.replace(Some(inventory));
        }
        Ok(())
    }

    /// Removes what no snapshot needs. Where none is listed, and none was forgotten just now, nothing goes.
    pub async fn reclaim(&self) -> Result<Reclaimed> {
        self.claim_all().await?;
        let inventory = match self.inventory.take() {
            Some(inventory) => inventory,
            None => prune::take_inventory(&self.core, &[], Damaged::Refuse).await?,
        };
        prune::reclaim(&self.core, &self.cleanup, inventory).await
    }

    /// What [`Self::reclaim`] would remove if these snapshots were forgotten.
    pub async fn reclaimable(&self, forgotten: &[Id]) -> Result<Reclaimed> {
        self.lock_for_reading().await?;
        let inventory = prune::take_inventory(&self.core, forgotten, Damaged::Refuse).await?;
        Ok(prune::reclaimable(&inventory))
    }

    /// Removes the locks of those who are gone, or of everybody. Answers how many there were.
    pub async fn remove_locks(&self, all: bool) -> Result<u64> {
        self.core.remove_locks(all).await
    }

    /// Keeps everybody else out, where things may be removed at all.
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

    /// Keeps the lock fresh as long as the repository is open, however long anything else takes: to be run beside
    /// all that is done with it.
    pub fn keep_lock(&self) -> impl Future<Output = ()> + use<P> {
        Core::keep_lock(Rc::downgrade(&self.core))
    }

    /// Removes what unfinished work left, and gives up the lock.
    pub async fn close(&self) -> Result<()> {
        let cleaned = self.cleanup.run(&self.core).await;
        self.core.unlock().await?;
        cleaned
    }

    /// Sees to it that nobody removes things meanwhile: with a lock where it can be removed again.
    async fn lock(&self) -> Result<()> {
        // What was found out need not hold any more.
        self.inventory.take();
        match self.core.platform.access() {
            Access::Full => self.core.lock(Claim::Shared).await,
            Access::WriteOnly => Ok(()),
            Access::AppendOnly | Access::ReadOnly => {
                lock::refuse_if_locked(&self.core, Claim::Shared, None).await
            }
        }
    }

    /// The same for somebody who only reads, and need not be able to write. Without a lock, somebody
    /// who prunes can take away what is being read, which is an error then and does no harm.
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

    /// The snapshot with this id, or the only one whose id begins so.
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

/// Stores the config of a new repository, whose key is there. Somebody else may have done so meanwhile: then that is the repository, and
/// a key that does not open it goes again.
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
        // Where it cannot be removed, it does no harm.
        let _ = new.remove(platform).await;
        return Err(at_the_same_time());
    }
    saved
}

fn at_the_same_time() -> Error {
    Error::Exists("somebody else has made a repository at the same time".into())
}
