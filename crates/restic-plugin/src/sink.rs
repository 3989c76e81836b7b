//! The contract's `sink`: the repository and its snapshots.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use restic_repo::{Access, Backend, Error as RepoError};
use zeroize::Zeroizing;

use crate::abandoned;
use crate::bindings::exports::tthost::backup::sink::{
    Depth, Draft, Findings, Guest, GuestRepository, Identity, ReclaimOptions, Reclaimed,
    Repository, Rights, Selection, Snapshot, Subset, Usage,
};
use crate::bindings::exports::tthost::backup::transfer::{Reader, Writer};
use crate::bindings::exports::tthost::backup::{maintenance, plugin};
use crate::bindings::tthost::backup::secrets;
use crate::bindings::tthost::backup::types::{self, Caller, Error};
use crate::platform::Platform;
use crate::transfer::{SnapshotReader, SnapshotWriter};

/// The name of the granted password.
const PASSWORD: &str = "password";

/// The need of every such sink.
pub fn password() -> plugin::Need {
    plugin::Need {
        resource: plugin::ResourceKind::Secret,
        name: PASSWORD.into(),
        optional: false,
        reason: "It opens the repository.".into(),
    }
}

/// The storage of repositories: the part that differs between sinks.
pub trait Storage: 'static {
    /// The files there.
    type Files: Backend + Clone + 'static;

    /// The description of the plugin.
    fn describe() -> plugin::Description;

    /// The files that the configuration and the grants select. With read-only access, this must not
    /// change anything.
    fn find(
        config: &str,
        access: types::Access,
    ) -> impl Future<Output = restic_repo::Result<Self::Files>>;

    /// Probes the rights anew.
    fn probe(config: &str) -> impl Future<Output = restic_repo::Result<Rights>>;

    /// Removes the temporary files of dead processes.
    fn clean_up(files: &Self::Files) -> impl Future<Output = ()>;

    /// Closes the files, and removes the temporary files of abandoned writers.
    fn close(files: &Self::Files) -> impl Future<Output = ()>;
}

/// A sink plugin with this storage.
pub struct Plugin<P>(PhantomData<P>);

pub(crate) type Repo<F> = restic_repo::Repository<Platform<F>>;

/// An open repository.
pub struct Store<P: Storage> {
    platform: Platform<P::Files>,
    /// `None` if the repository cannot be read, and the first snapshot creates it.
    repository: RefCell<Option<Rc<Repo<P::Files>>>>,
    caller: restic_repo::Caller,
    password: Zeroizing<Vec<u8>>,
}

impl<P: Storage> plugin::Guest for Plugin<P> {
    fn describe() -> plugin::Description {
        P::describe()
    }
}

impl<P: Storage> Guest for Plugin<P> {
    type Repository = Store<P>;

    async fn probe(config: String) -> Result<Rights, Error> {
        Ok(P::probe(&config).await?)
    }
}

impl<P: Storage> maintenance::Guest for Plugin<P> {
    async fn unlock(caller: Caller, config: String, all: bool) -> Result<u64, Error> {
        let store = Store::<P>::prepare(caller, &config, types::Access::ReadWrite).await?;
        store.or_close(store.open_repository().await).await?;
        let repository = store.or_close(store.readable()).await?;
        let removed = repository.remove_locks(all).await;
        store.close_store().await?;
        Ok(removed?)
    }
}

impl<P: Storage> GuestRepository for Store<P> {
    async fn open(
        caller: Caller,
        config: String,
        access: types::Access,
    ) -> Result<Repository, Error> {
        let store = Self::prepare(caller, &config, access).await?;
        match store.or_close(store.open_repository().await).await {
            Err(RepoError::NotFound(_)) if store.platform.access() == Access::WriteOnly => {}
            opened => opened?,
        }
        Ok(Repository::new(store))
    }

    async fn create(caller: Caller, config: String) -> Result<Repository, Error> {
        let store = Self::prepare(caller, &config, types::Access::ReadWrite).await?;
        store.or_close(store.create_repository().await).await?;
        Ok(Repository::new(store))
    }

    fn identity(&self) -> Identity {
        let identity = self
            .repository
            .borrow()
            .as_ref()
            .map(|open| open.identity());
        identity.map_or_else(
            || Identity {
                id: String::new(),
                version: 0,
            },
            |identity| Identity {
                id: identity.id.to_string(),
                version: identity.version,
            },
        )
    }

    async fn begin(&self, draft: Draft) -> Result<Writer, Error> {
        if self.repository.borrow().is_none() && !draft.dry_run {
            self.create_repository().await?;
        }
        let draft = restic_repo::Draft {
            time: draft.time.into(),
            hostname: draft.hostname,
            username: draft.username,
            tags: draft.tags,
            paths: draft.paths,
            dry_run: draft.dry_run,
            force: draft.force,
        };
        let repository = self.repository()?;
        let writer = repository.begin(draft).await?;
        Ok(Writer::new(SnapshotWriter::new(writer)))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let snapshots = self.readable()?.snapshots().await?;
        Ok(snapshots.into_iter().map(Into::into).collect())
    }

    async fn read(&self, selection: Selection) -> Result<Reader, Error> {
        let selection = restic_repo::Selection {
            snapshot: selection.snapshot,
            paths: selection.paths,
            levels: selection.levels,
            skip_damaged: selection.skip_damaged,
        };
        let repository = self.readable()?;
        let reader = repository.read(selection).await?;
        Ok(Reader::new(SnapshotReader::new(reader)))
    }

    async fn usage(&self, subset: Subset) -> Result<Usage, Error> {
        let usage = self.readable()?.usage(subset.into()).await?;
        Ok(Usage {
            objects: usage.packs,
            bytes: usage.bytes,
        })
    }

    async fn check(&self, depth: Depth) -> Result<Findings, Error> {
        let depth = match depth {
            Depth::Structure => restic_repo::Depth::Structure,
            Depth::Data(subset) => restic_repo::Depth::Data(subset.into()),
        };
        let findings = self.readable()?.check(depth).await?;
        Ok(Findings {
            findings: findings.findings.into_iter().map(Into::into).collect(),
            snapshots: findings.snapshots,
            objects: findings.packs,
            bytes_read: findings.bytes_read,
        })
    }

    async fn forget(&self, ids: Vec<String>) -> Result<(), Error> {
        Ok(self.readable()?.forget(&parse(ids)?).await?)
    }

    async fn reclaim(&self, options: ReclaimOptions, dry_run: bool) -> Result<Reclaimed, Error> {
        let repository = self.readable()?;
        let reclaimed = if dry_run {
            let forgotten = parse(options.assume_forgotten)?;
            repository.reclaimable(&forgotten).await
        } else {
            repository.reclaim().await
        };
        Ok(reclaimed?.into())
    }

    async fn close(this: Repository) -> Result<(), Error> {
        this.into_inner::<Self>().close_store().await
    }
}

impl<P: Storage> Store<P> {
    async fn prepare(caller: Caller, config: &str, access: types::Access) -> Result<Self, Error> {
        let files = P::find(config, access).await?;
        let password = Zeroizing::new(secrets::get(PASSWORD.into()).await?);
        Ok(Self {
            platform: Platform {
                files,
                is_read_only: access == types::Access::ReadOnly,
            },
            repository: RefCell::default(),
            caller: caller.into(),
            password,
        })
    }

    /// Passes the result on. Closes the files after a failure, because then no repository will be closed.
    async fn or_close<T, E>(&self, done: Result<T, E>) -> Result<T, E> {
        if done.is_err() {
            P::close(&self.platform.files).await;
        }
        done
    }

    async fn close_store(&self) -> Result<(), Error> {
        abandoned::end();
        let repository = self.repository.take();
        let closed = match repository {
            Some(repository) => repository.close().await,
            None => Ok(()),
        };
        P::close(&self.platform.files).await;
        Ok(closed?)
    }

    async fn open_repository(&self) -> restic_repo::Result<()> {
        let platform = self.platform.clone();
        let opened = Repo::open(platform, self.caller.clone(), &self.password).await?;
        self.take_up(opened);
        if !self.platform.is_read_only {
            P::clean_up(&self.platform.files).await;
        }
        Ok(())
    }

    async fn create_repository(&self) -> restic_repo::Result<()> {
        let platform = self.platform.clone();
        let created = Repo::create(platform, self.caller.clone(), &self.password).await?;
        self.take_up(created);
        // An earlier creation may have been interrupted.
        P::clean_up(&self.platform.files).await;
        Ok(())
    }

    fn take_up(&self, repository: Repo<P::Files>) {
        if self.platform.access() == Access::Full {
            wit_bindgen::spawn_local(repository.keep_lock());
        }
        self.repository.replace(Some(Rc::new(repository)));
    }

    fn repository(&self) -> Result<Rc<Repo<P::Files>>, Error> {
        self.repository.borrow().clone().ok_or_else(|| {
            Error::NotFound("there is no repository yet; the first backup creates one".into())
        })
    }

    /// The repository, if it is readable.
    fn readable(&self) -> Result<Rc<Repo<P::Files>>, Error> {
        if self.platform.access() == Access::WriteOnly {
            return Err(Error::Denied(
                "its credentials may store things and not read them, so they cannot list, restore or check: do that on \
                 another machine, with credentials that may read (s3:GetObject, s3:ListBucket)"
                    .into(),
            ));
        }
        self.repository()
    }
}

/// Parses the ids of snapshots.
fn parse(ids: Vec<String>) -> Result<Vec<restic_repo::Id>, Error> {
    let missing = |id| Error::NotFound(format!("there is no snapshot {id}"));
    let parse = |id: String| id.parse().map_err(|_| missing(id));
    ids.into_iter().map(parse).collect()
}

impl From<restic_repo::Snapshot> for Snapshot {
    fn from(snapshot: restic_repo::Snapshot) -> Self {
        Self {
            id: snapshot.id.to_string(),
            time: snapshot.time.into(),
            hostname: snapshot.hostname,
            username: snapshot.username,
            tags: snapshot.tags,
            paths: snapshot.paths,
            program: snapshot.program,
            files: snapshot.files,
            bytes: snapshot.bytes,
            bytes_added: snapshot.bytes_added,
            bytes_stored: snapshot.bytes_stored,
            damaged: snapshot.damaged,
        }
    }
}
