//! The contract's `sink`: the repository and its snapshots.

use std::rc::Rc;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::Component;
use crate::bindings::exports::tthost::backup::sink::{
    Depth, Draft, Findings, Guest, GuestRepository, Identity, Repository, Selection, Snapshot,
};
use crate::bindings::exports::tthost::backup::transfer::{Reader, Writer};
use crate::bindings::tthost::backup::secrets;
use crate::bindings::tthost::backup::types::{Caller, Error};
use crate::directory::Directory;
use crate::platform::Platform;
use crate::transfer::{SnapshotReader, SnapshotWriter};

/// The name under which the host grants the password.
const PASSWORD: &str = "password";

/// The JSON Schema of [`Config`].
pub(crate) const CONFIG_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "description": "restic-sink takes everything from its grants: the directory `repository` and the secret `password`.",
  "type": "object",
  "properties": {},
  "additionalProperties": false
}"#;

/// There is nothing to set: the directory and the password are grants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

pub(crate) type Repo = restic_repo::Repository<Platform>;

/// An open repository.
pub(crate) struct Store {
    repository: Rc<Repo>,
    directory: Directory,
}

impl Guest for Component {
    type Repository = Store;
}

impl GuestRepository for Store {
    async fn open(caller: Caller, config: String) -> Result<Repository, Error> {
        let (platform, directory, password) = prepare(&config).await?;
        let repository = Repo::open(platform, caller.into(), &password).await?;
        Ok(Repository::new(Self::new(repository, directory)))
    }

    async fn create(caller: Caller, config: String) -> Result<Repository, Error> {
        let (platform, directory, password) = prepare(&config).await?;
        let repository = Repo::create(platform, caller.into(), &password).await?;
        Ok(Repository::new(Self::new(repository, directory)))
    }

    fn identity(&self) -> Identity {
        let identity = self.repository.identity();
        Identity {
            id: identity.id.to_string(),
            version: identity.version,
        }
    }

    async fn begin(&self, draft: Draft) -> Result<Writer, Error> {
        let draft = restic_repo::Draft {
            time: draft.time.into(),
            hostname: draft.hostname,
            username: draft.username,
            tags: draft.tags,
            paths: draft.paths,
            dry_run: draft.dry_run,
            force: draft.force,
        };
        let writer = self.repository.begin(draft).await?;
        Ok(Writer::new(SnapshotWriter::new(
            self.repository.clone(),
            writer,
        )))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let snapshots = self.repository.snapshots().await?;
        Ok(snapshots.into_iter().map(Into::into).collect())
    }

    async fn read(&self, selection: Selection) -> Result<Reader, Error> {
        let selection = restic_repo::Selection {
            snapshot: selection.snapshot,
            paths: selection.paths,
        };
        let reader = self.repository.read(selection).await?;
        Ok(Reader::new(SnapshotReader::new(
            self.repository.clone(),
            reader,
        )))
    }

    async fn check(&self, depth: Depth) -> Result<Findings, Error> {
        let depth = match depth {
            Depth::Structure => restic_repo::Depth::Structure,
            Depth::Data => restic_repo::Depth::Data,
        };
        let findings = self.repository.check(depth).await?;
        Ok(Findings {
            errors: findings.errors,
            warnings: findings.warnings,
            snapshots: findings.snapshots,
            packs: findings.packs,
            blobs: findings.blobs,
            bytes_read: findings.bytes_read,
        })
    }

    async fn close(this: Repository) -> Result<(), Error> {
        let store = this.into_inner::<Self>();
        let closed = store.repository.close().await;
        store.directory.remove_partial().await;
        Ok(closed?)
    }
}

impl Store {
    fn new(repository: Repo, directory: Directory) -> Self {
        Self {
            repository: Rc::new(repository),
            directory,
        }
    }
}

async fn prepare(config: &str) -> Result<(Platform, Directory, Zeroizing<Vec<u8>>), Error> {
    let Config {} =
        serde_json::from_str(config).map_err(|cause| Error::Config(format!("config: {cause}")))?;
    let directory = Directory::granted().map_err(Error::from)?;
    let password = Zeroizing::new(secrets::get(PASSWORD.into()).await?);
    Ok((
        Platform {
            directory: directory.clone(),
        },
        directory,
        password,
    ))
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
