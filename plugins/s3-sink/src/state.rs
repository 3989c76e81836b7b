//! The directory on this machine that the host grants as `/state`: copies of the repository's files, the rights of
//! the credentials, and the location of the repository if it differs from the configured one.
//!
//! Each repository has a directory of its own, so that another configuration does not use its files.

use restic_plugin::Directory;
use restic_repo::{Backend as _, Error, Result, remove_copies};
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
}

#[derive(Serialize, Deserialize)]
struct CachedRights {
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
        if directory.list_names("snapshots")?.is_empty() {
            directory.create_layout().await?;
        }
        Ok(Some(Self {
            directory,
            fingerprint: settings.fingerprint(),
        }))
    }

    /// The directory, which has the layout of a repository.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What was last found out about these credentials. What cannot be read is found out anew.
    pub(crate) fn rights(&self) -> Option<Rights> {
        let kept = self.directory.read_file(RIGHTS).ok().flatten();
        let kept: Option<CachedRights> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kept.filter(|kept| kept.credentials == self.fingerprint)
            .map(|kept| kept.rights)
    }

    pub(crate) async fn keep_rights(&self, rights: &Rights, credentials: &str) -> Result<()> {
        let kept = CachedRights {
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
        remove_copies(&self.directory).await?;
        self.directory.remove_file(PREFIX).await
    }
}
