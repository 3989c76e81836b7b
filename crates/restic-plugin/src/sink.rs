//! The contract's `sink`: the repository and its snapshots.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use restic_repo::{Access, Backend, Error as RepoError};
use zeroize::Zeroizing;

use crate::bindings::exports::tthost::backup::plugin;
use crate::bindings::exports::tthost::backup::sink::{
    Depth, Draft, Findings, Guest, GuestRepository, Identity, Pruned, Repository, Rights,
    Selection, Snapshot,
};
use crate::bindings::exports::tthost::backup::transfer::{Reader, Writer};
use crate::bindings::tthost::backup::secrets;
use crate::bindings::tthost::backup::types::{Caller, Error};
use crate::platform::Platform;
use crate::transfer::{SnapshotReader, SnapshotWriter};

/// The name under which the host grants the password.
const PASSWORD: &str = "password";

/// Where repositories can be: all that is different from one sink to another.
pub trait Storage: 'static {
    /// The files there.
    type Files: Backend + Clone + 'static;

    /// What the plugin says of itself.
    fn describe() -> plugin::Description;

    /// The files that the configuration and the grants mean.
    fn find(config: &str) -> impl Future<Output = restic_repo::Result<Self::Files>>;

    /// What can be done there, found out anew.
    fn probe(config: &str) -> impl Future<Output = restic_repo::Result<Rights>>;

    /// Ends the use of the files, and removes what was being written when its writer was given
    /// up.
    fn leave(files: &Self::Files) -> impl Future<Output = ()>;
}

/// A sink plugin whose repositories are in such a place.
pub struct Plugin<P>(PhantomData<P>);

pub(crate) type Repo<F> = restic_repo::Repository<Platform<F>>;

/// An open repository.
pub struct Store<P: Storage> {
    platform: Platform<P::Files>,
    /// None where there is nothing to read, and the first snapshot makes the repository.
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

impl<P: Storage> GuestRepository for Store<P> {
    async fn open(caller: Caller, config: String) -> Result<Repository, Error> {
        let store = Self::prepare(caller, &config).await?;
        match store.open_repository().await {
            Err(RepoError::NotFound(_)) if store.platform.access() == Access::WriteOnly => {}
            opened => opened?,
        }
        Ok(Repository::new(store))
    }

    async fn create(caller: Caller, config: String) -> Result<Repository, Error> {
        let store = Self::prepare(caller, &config).await?;
        store.create_repository().await?;
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
        Ok(Writer::new(SnapshotWriter::new(repository, writer)))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let snapshots = self.readable()?.snapshots().await?;
        Ok(snapshots.into_iter().map(Into::into).collect())
    }

    async fn read(&self, selection: Selection) -> Result<Reader, Error> {
        let selection = restic_repo::Selection {
            snapshot: selection.snapshot,
            paths: selection.paths,
        };
        let repository = self.readable()?;
        let reader = repository.read(selection).await?;
        Ok(Reader::new(SnapshotReader::new(repository, reader)))
    }

    async fn check(&self, depth: Depth) -> Result<Findings, Error> {
        let depth = match depth {
            Depth::Structure => restic_repo::Depth::Structure,
            Depth::Data => restic_repo::Depth::Data,
        };
        let findings = self.readable()?.check(depth).await?;
        Ok(Findings {
            errors: findings.errors,
            warnings: findings.warnings,
            snapshots: findings.snapshots,
            packs: findings.packs,
            blobs: findings.blobs,
            bytes_read: findings.bytes_read,
        })
    }

    async fn prune(&self, forget: Vec<String>, dry_run: bool) -> Result<Pruned, Error> {
        let missing = |id| Error::NotFound(format!("there is no snapshot {id}"));
        let parse = |id: String| id.parse().map_err(|_| missing(id));
        let forget = forget
            .into_iter()
            .map(parse)
            .collect::<Result<Vec<_>, _>>()?;
        let pruned = self.readable()?.prune(&forget, dry_run).await?;
        Ok(Pruned {
            snapshots: pruned.snapshots,
            packs_removed: pruned.packs_removed,
            bytes_removed: pruned.bytes_removed,
            packs_written: pruned.packs_written,
            bytes_written: pruned.bytes_written,
            bytes_left: pruned.bytes_left,
            bytes_unused: pruned.bytes_unused,
        })
    }

    async fn close(this: Repository) -> Result<(), Error> {
        let store = this.into_inner::<Self>();
        let closed = match store.repository.take() {
            Some(repository) => repository.close().await,
            None => Ok(()),
        };
        P::leave(&store.platform.files).await;
        Ok(closed?)
    }
}

impl<P: Storage> Store<P> {
    async fn prepare(caller: Caller, config: &str) -> Result<Self, Error> {
        let files = P::find(config).await?;
        let password = Zeroizing::new(secrets::get(PASSWORD.into()).await?);
        Ok(Self {
            platform: Platform { files },
            repository: RefCell::default(),
            caller: caller.into(),
            password,
        })
    }

    async fn open_repository(&self) -> restic_repo::Result<()> {
        let platform = self.platform.clone();
        let opened = Repo::open(platform, self.caller.clone(), &self.password).await?;
        self.repository.replace(Some(Rc::new(opened)));
        Ok(())
    }

    async fn create_repository(&self) -> restic_repo::Result<()> {
        let platform = self.platform.clone();
        let created = Repo::create(platform, self.caller.clone(), &self.password).await?;
        self.repository.replace(Some(Rc::new(created)));
        Ok(())
    }

    fn repository(&self) -> Result<Rc<Repo<P::Files>>, Error> {
        self.repository.borrow().clone().ok_or_else(|| {
            Error::NotFound("there is no repository yet; the first backup creates one".into())
        })
    }

    /// The repository, where it can be read.
    fn readable(&self) -> Result<Rc<Repo<P::Files>>, Error> {
        if self.platform.access() == Access::WriteOnly {
            return Err(Error::Denied(
                "its credentials may store things and not read them: use a machine whose credentials may read"
                    .into(),
            ));
        }
        self.repository()
    }
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
        }
    }
}
