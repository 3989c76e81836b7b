//! An open repository.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::backup::{Cleanup, Draft, Writer};
use crate::check::{self, Depth, Findings};
use crate::config::Config;
use crate::core::{Core, load_config, save_config};
use crate::error::Result;
use crate::guard::Guard;
use crate::index::Index;
use crate::lock::{self, Claim};
use crate::prune::{self, Pruned};
use crate::restore::{Reader, Selection};
use crate::snapshot::{self, Snapshot};
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
}

impl<P: Platform> Repository<P> {
    /// Makes a new repository, where there is none.
    pub async fn create(platform: P, caller: Caller, password: &[u8]) -> Result<Self> {
        if password.is_empty() {
            return Err(Error::Config("the password is empty".into()));
        }
        if platform.exists().await? {
            return Err(Error::Config("there is a repository already".into()));
        }
        platform.create_layout().await?;
        if !platform.list(FileKind::Key).await?.is_empty() {
            return Err(Error::Config(
                "there are keys of another repository already, but no config".into(),
            ));
        }
        let new = key::create(&platform, &caller, password).await?;
        let config = Config::new(|bytes| platform.random(bytes));
        if platform.access() == Access::WriteOnly {
            // Only the config can tell that there is a repository already, which must not get
            // a key that opens nothing.
            save_config(&platform, &new.key, config).await?;
            new.store(&platform).await?;
        } else {
            // The config comes last: only with it is there a repository.
            new.store(&platform).await?;
            save_config(&platform, &new.key, config).await?;
        }
        let key = new.key;
        Ok(Self::new(platform, caller, key, config))
    }

    /// Opens a repository.
    pub async fn open(platform: P, caller: Caller, password: &[u8]) -> Result<Self> {
        if !platform.exists().await? {
            return Err(Error::NotFound(
                "there is no repository: the file config is missing".into(),
            ));
        }
        let key = key::open(&platform, password).await?;
        let config = load_config(&platform, &key).await?;
        Ok(Self::new(platform, caller, key, config))
    }

    fn new(platform: P, caller: Caller, key: P::Key, config: Config) -> Self {
        let core = Core {
            platform,
            caller,
            key,
            config,
            index: RefCell::new(Index::default()),
            lock: Cell::new(None),
        };
        Self {
            core: Rc::new(core),
            cleanup: Cleanup::default(),
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
        self.lock().await?;
        self.core.load_index().await?;
        let snapshots = match Box::pin(self.snapshots()).await {
            // Old damage is no reason not to back up: then everything is read.
            Err(Error::Corrupt(_)) => Vec::new(),
            snapshots => snapshots?,
        };
        let guard = Guard::begin(&self.core, &snapshots).await?;
        let candidates = if draft.force { &[][..] } else { &snapshots };
        let core = self.core.clone();
        Writer::new(core, draft, candidates, self.cleanup.clone(), guard).await
    }

    /// All snapshots, the oldest first.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let files = self
            .core
            .load_all::<snapshot::File>(FileKind::Snapshot)
            .await?;
        let mut snapshots: Vec<_> = files
            .into_iter()
            .map(|(id, file)| Snapshot::new(id, file))
            .collect();
        snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        Ok(snapshots)
    }

    /// Reads a snapshot.
    pub async fn read(&self, selection: Selection) -> Result<Reader<P>> {
        self.lock().await?;
        let snapshot = self.find(&selection.snapshot).await?;
        self.core.load_index().await?;
        Ok(Reader::new(
            self.core.clone(),
            snapshot.tree,
            &selection.paths,
        ))
    }

    /// Checks that everything is there.
    pub async fn check(&self, depth: Depth) -> Result<Findings> {
        self.lock().await?;
        check::check(&self.core, depth).await
    }

    /// Removes these snapshots, all of which have to be there, and then what no snapshot needs.
    /// One snapshot at least has to be left. A dry run tells what would be done.
    pub async fn prune(&self, forget: &[Id], dry_run: bool) -> Result<Pruned> {
        if self.core.platform.access() != Access::Full {
            return Err(Error::Denied(
                "nothing may be removed from this repository".into(),
            ));
        }
        let claim = if dry_run {
            Claim::Shared
        } else {
            Claim::Exclusive
        };
        self.core.lock(claim).await?;
        prune::prune(&self.core, &self.cleanup, forget, dry_run).await
    }

    /// Refreshes the lock, when it is time for that. To be called now and then.
    pub async fn refresh(&self) -> Result<()> {
        self.core.refresh_lock().await
    }

    /// Removes what unfinished work left, and gives up the lock.
    pub async fn close(&self) -> Result<()> {
        let cleaned = self.cleanup.run(&self.core).await;
        self.core.unlock().await?;
        cleaned
    }

    /// Sees to it that nobody removes things meanwhile: with a lock where it can be removed again.
    async fn lock(&self) -> Result<()> {
        match self.core.platform.access() {
            Access::Full => self.core.lock(Claim::Shared).await,
            Access::WriteOnly => Ok(()),
            Access::AppendOnly | Access::ReadOnly => {
                lock::refuse_if_locked(&self.core, Claim::Shared, None).await
            }
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
