//! The repository's files as objects in a bucket.

use std::cell::RefCell;
use std::rc::Rc;

use restic_plugin::bindings::tthost::backup::log::{Level, log};
use restic_plugin::compute::digest;
use restic_plugin::platform::random;
use restic_repo::{Access, Backend, Error, FileKind, Id, Instant, Listed, Result};

use crate::client::Client;
use crate::fault::{Fault, Right};
use crate::probe;
use crate::rights::Rights;
use crate::state::State;

/// The largest file that is read in one piece, in bytes: an index of about a million blobs.
const MAX_LENGTH: u64 = 1 << 30;

/// Packs stored concurrently.
const WRITERS: usize = 4;

/// A repository in a bucket.
#[derive(Clone)]
pub(crate) struct S3 {
    client: Rc<Client>,
    state: Option<State>,
    rights: Rc<Rights>,
    access: Access,
    /// The prefix of all object names, without the slash.
    prefix: Rc<RefCell<String>>,
}

impl S3 {
    pub(crate) fn new(client: Client, state: Option<State>, rights: Rights) -> Result<Self> {
        let access = rights.access()?;
        let moved = match (&state, access) {
            (Some(state), Access::WriteOnly) => state.moved_to()?,
            _ => None,
        };
        Ok(Self {
            prefix: Rc::new(RefCell::new(
                moved.unwrap_or_else(|| client.prefix().to_owned()),
            )),
            client: Rc::new(client),
            state,
            rights: Rc::new(rights),
            access,
        })
    }

    /// Removes an object beside the repository, if it exists.
    pub(crate) async fn remove_probe(&self, name: &str) -> Result<()> {
        match self
            .client
            .delete(&probe::key(&self.client, name), None)
            .await
        {
            Ok(_) | Err(Fault::Missing(_)) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    fn key(&self, path: &str) -> String {
        match self.prefix.borrow().as_str() {
            "" => path.to_owned(),
            prefix => format!("{prefix}/{path}"),
        }
    }

    /// Converts a fault. If a right was lost, the next command probes the rights anew.
    async fn explain(&self, fault: Fault) -> Error {
        let Fault::Denied(right, said) = fault else {
            return fault.into();
        };
        let had = match right {
            Right::Put => self.rights.put,
            Right::Get => self.rights.get,
            Right::List => self.rights.list,
            Right::Delete => self.rights.delete,
        };
        if let Some(state) = &self.state {
            // Reports the refusal itself.
            let _ = state.forget_rights().await;
        }
        let may_not = if had.is_yes() {
            "may no longer"
        } else {
            "may not"
        };
        Error::Denied(format!("the credentials {may_not} {right}: {said}"))
    }

    /// Reads an object. `None` if it does not exist.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match self.client.get(key, MAX_LENGTH).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(fault) => match self.look_up(key, fault.clone()).await? {
                Some(_) => Err(self.explain(fault).await),
                None => Ok(None),
            },
        }
    }

    /// The length in bytes of an object that the server refused. `None` if it does not exist. Some
    /// servers refuse objects that do not exist. A listing tells, if it is allowed.
    async fn look_up(&self, key: &str, fault: Fault) -> Result<Option<u64>> {
        match fault {
            Fault::Missing(_) => Ok(None),
            Fault::Denied(..) if self.rights.list.is_yes() => {
                let listed = match self.client.page(key, None).await {
                    Ok(page) => page.objects,
                    Err(other) => return Err(self.explain(other).await),
                };
                let object = listed.into_iter().find(|(found, _)| found == key);
                Ok(object.map(|(_, length)| length))
            }
            other => Err(self.explain(other).await),
        }
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        match self.client.put(key, bytes, false).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.explain(fault).await),
        }
    }

    /// Stores the config of a new repository. Never replaces one.
    async fn write_config(&self, bytes: &[u8]) -> Result<()> {
        let if_absent = self.rights.put_if_absent.is_yes();
        if self.access == Access::WriteOnly && !if_absent {
            // Nothing shows whether there is one.
            self.move_away("this server cannot tell whether there is a repository already")
                .await?;
        }
        let key = self.key("config");
        match self.client.put(&key, bytes, if_absent).await {
            Ok(_) => Ok(()),
            Err(Fault::Exists) if self.access == Access::WriteOnly => {
                self.move_away(
                    "there is a repository already, whose key this machine does not have",
                )
                .await?;
                self.put(&self.key("config"), bytes).await
            }
            // The answer to an earlier attempt may be lost.
            Err(Fault::Exists) if self.get(&key).await?.as_deref() == Some(bytes) => Ok(()),
            Err(fault) => Err(self.explain(fault).await),
        }
    }

    /// Continues below another, unused prefix.
    async fn move_away(&self, why: &str) -> Result<()> {
        let mut random_bytes = [0; 4];
        random(&mut random_bytes);
        let name = format!("tthost-{:08x}", u32::from_le_bytes(random_bytes));
        let prefix = match self.client.prefix() {
            "" => name,
            prefix => format!("{prefix}/{name}"),
        };
        log(
            Level::Warn,
            &format!(
                "{why}: the snapshots of this machine go to a new repository, {}. If the state directory \
                 was lost, a run with credentials that may read brings the old repository back",
                self.client.place(&prefix)
            ),
        );
        if let Some(state) = &self.state {
            state.move_to(&prefix).await?;
        }
        self.prefix.replace(prefix);
        Ok(())
    }
}

impl Backend for S3 {
    fn access(&self) -> Access {
        self.access
    }

    fn place(&self) -> Option<String> {
        Some(self.client.place(&self.prefix.borrow()))
    }

    fn writers(&self) -> usize {
        WRITERS
    }

    async fn create_layout(&self) -> Result<()> {
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(&self.key("config")).await?.is_some())
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let Some(directory) = kind.directory() else {
            return Ok(Vec::new());
        };
        let prefix = self.key(&format!("{directory}/"));
        let objects = match self.client.list(&prefix).await {
            Ok(objects) => objects,
            Err(fault) => return Err(self.explain(fault).await),
        };
        let listed = objects.into_iter().filter_map(|(key, length)| {
            let id: Id = key.rsplit('/').next()?.parse().ok()?;
            // Other objects do not belong to the repository.
            (key == self.key(&kind.path(id))).then_some(Listed { id, length })
        });
        Ok(listed.collect())
    }

    /// Reads a file, and again if it was garbled in transit.
    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        let key = self.key(&kind.path(id));
        let missing = || Error::NotFound(format!("{key} is not there"));
        let bytes = self.get(&key).await?.ok_or_else(missing)?;
        if kind == FileKind::Config || digest(&[&bytes])? == id {
            return Ok(bytes);
        }
        self.get(&key).await?.ok_or_else(missing)
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let key = self.key(&kind.path(id));
        match self.client.get_range(&key, offset, length).await {
            Ok(bytes) => Ok(bytes),
            Err(fault) => Err(self.explain(fault).await),
        }
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        match kind {
            FileKind::Config => self.write_config(&bytes).await,
            _ => self.put(&self.key(&kind.path(id)), &bytes).await,
        }
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        let key = self.key(&kind.path(id));
        match self.client.delete(&key, None).await {
            Ok(_) => Ok(()),
            // S3 itself never answers this, so the answer may be wrong.
            Err(Fault::Missing(said)) => match self.length(kind, id).await? {
                None => Ok(()),
                Some(_) => Err(Error::Unavailable(format!(
                    "the server says that it cannot remove what is there: {said}"
                ))),
            },
            Err(fault) => Err(self.explain(fault).await),
        }
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let key = self.key(&kind.path(id));
        match self.client.head(&key).await {
            Ok(answer) => {
                let length = answer
                    .header("content-length")
                    .and_then(|text| text.parse().ok());
                length.map(Some).ok_or_else(|| {
                    Error::Other(format!("{key}: the server does not say how long it is"))
                })
            }
            Err(fault) => self.look_up(&key, fault).await,
        }
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        let key = self.key(&kind.path(id));
        match self.client.head(&key).await {
            Ok(answer) => Ok(answer.header("last-modified").and_then(instant)),
            Err(Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(self.explain(fault).await),
        }
    }
}

/// Parses a time in HTTP's format.
pub(crate) fn instant(date: &str) -> Option<Instant> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(Instant {
        seconds: time.timestamp().as_second(),
        nanoseconds: 0,
    })
}
