//! What is kept on this machine, in the directory that the host granted as `/state`: copies of
//! those files of the repository that are needed again, as they are in the repository, sealed with
//! its key; what the credentials allow; and where the repository is, where that is not the
//! configured place.
//!
//! Each place has a directory of its own, so that another configuration finds nothing that is not
//! its own.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use restic_plugin::Directory;
use restic_plugin::compute::digest;
use restic_repo::{Backend as _, Error, FileKind, Id, Listed, Result};
use serde::{Deserialize, Serialize};

use crate::rights::Rights;
use crate::settings::Settings;

/// The name under which the host grants the directory.
const GRANT: &str = "state";

/// The file that says what the credentials allow.
const RIGHTS: &str = "rights.json";

/// The file that names the prefix that is used in place of the configured one.
const PREFIX: &str = "prefix";

/// What is kept of one place.
#[derive(Clone)]
pub(crate) struct State {
    directory: Directory,
    fingerprint: String,
    /// Packs whose copies were compared with their names.
    proven: Rc<RefCell<HashSet<Id>>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// For these credentials and no others.
    credentials: String,
    rights: Rights,
}

impl State {
    /// What is kept of the place that the settings name; none where no directory was granted.
    pub(crate) async fn granted(settings: &Settings) -> Result<Option<Self>> {
        let Some(granted) = Directory::granted(GRANT) else {
            return Ok(None);
        };
        let directory = granted.enter(&settings.place()).await?;
        if directory.list_names("snapshots").await?.is_empty() {
            directory.create_layout().await?;
        }
        Ok(Some(Self {
            directory,
            fingerprint: settings.fingerprint(),
            proven: Rc::default(),
        }))
    }

    /// What was last found out about these credentials.
    pub(crate) fn rights(&self) -> Result<Option<Rights>> {
        let kept = self.directory.read_file(RIGHTS)?;
        let kept: Option<Kept> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(kept
            .filter(|kept| kept.credentials == self.fingerprint)
            .map(|kept| kept.rights))
    }

    pub(crate) async fn keep_rights(&self, rights: &Rights, credentials: &str) -> Result<()> {
        let kept = Kept {
            credentials: credentials.to_owned(),
            rights: rights.clone(),
        };
        let json = serde_json::to_vec(&kept)
            .map_err(|cause| Error::Other(format!("{RIGHTS} cannot be written: {cause}")))?;
        self.directory.write_file(RIGHTS, json).await
    }

    /// Makes the next use find out anew what the credentials allow.
    pub(crate) async fn forget_rights(&self) -> Result<()> {
        self.directory.remove_file(RIGHTS).await
    }

    /// The prefix that is used in place of the configured one.
    pub(crate) fn moved_to(&self) -> Result<Option<String>> {
        let text = self.directory.read_file(PREFIX)?;
        text.map(|text| {
            String::from_utf8(text)
                .map_err(|_| Error::Corrupt(format!("the file {PREFIX} of the state is damaged")))
        })
        .transpose()
    }

    pub(crate) async fn move_to(&self, prefix: &str) -> Result<()> {
        self.directory.write_file(PREFIX, prefix.into()).await
    }

    /// Forgets the repository below another prefix, whose copies are of no use for the configured
    /// place. The prefix goes last, so that an interruption leaves no mixture.
    pub(crate) async fn move_back(&self) -> Result<()> {
        for kind in [
            FileKind::Key,
            FileKind::Snapshot,
            FileKind::Index,
            FileKind::TreePack,
        ] {
            for copy in self.directory.list(kind).await? {
                self.directory.remove(kind, copy.id).await?;
            }
        }
        self.directory
            .remove_file(&FileKind::Config.path(Id([0; 32])))
            .await?;
        self.directory.remove_file(PREFIX).await
    }

    pub(crate) async fn has_config(&self) -> Result<bool> {
        self.directory.exists().await
    }

    pub(crate) async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        self.directory.list(kind).await
    }

    /// A copy, if there is one and it is what its name says.
    pub(crate) async fn read(&self, kind: FileKind, id: Id) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.directory.read_file(&kind.path(id))? else {
            return Ok(None);
        };
        if kind == FileKind::Config || digest(&bytes)? == id {
            return Ok(Some(bytes));
        }
        self.directory.remove(kind, id).await?;
        Ok(None)
    }

    /// Part of a copy, if there is one and all of it is what its name says.
    pub(crate) async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>> {
        if !self.proven.borrow().contains(&id) {
            if self.read(kind, id).await?.is_none() {
                return Ok(None);
            }
            self.proven.borrow_mut().insert(id);
        }
        self.directory
            .read_range(kind, id, offset, length)
            .await
            .map(Some)
    }

    pub(crate) async fn keep(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        self.directory.write(kind, id, bytes).await
    }

    pub(crate) async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.directory.remove(kind, id).await
    }

    /// The copies of what a listing lacks.
    pub(crate) async fn unlisted(&self, kind: FileKind, listed: &[Listed]) -> Result<Vec<Id>> {
        let there: HashSet<Id> = listed.iter().map(|file| file.id).collect();
        let copies = self.directory.list(kind).await?.into_iter();
        let unlisted = copies.map(|copy| copy.id).filter(|id| !there.contains(id));
        Ok(unlisted.collect())
    }

    pub(crate) async fn leave(&self) {
        self.directory.remove_partial().await;
    }
}
