//! Detects what the credentials allow, by trying it. Policies state an intention, and the restricted credentials can
//! mostly not read them.
//!
//! It uses one small object next to the repository, which no program treats as a part of it. If objects can be
//! removed, each probe uses a unique name. Otherwise all probes use the same name, so that only one object remains.

use restic_plugin::platform::{clear, note, now};
use restic_plugin::probe::{CONTENTS, SHARED, own_name};
use restic_repo::{Error, Result};

use crate::backend::instant;
use crate::client::Client;
use crate::fault::Fault;
use crate::rights::{Answer, Rights};
use crate::state::State;
use tthost_plugin::http::Answer as HttpAnswer;

/// How long the object of all probes may be in use, in seconds.
const IN_USE: i64 = 60 * 60;

/// Probes, and keeps the result on this machine.
pub(crate) async fn probe_and_keep(client: &Client, state: Option<&State>) -> Result<Rights> {
    let rights = probe(client).await?;
    // Rights to nothing are asked for anew each time: somebody is about to grant some.
    if let Some(state) = state
        && rights.access().is_ok()
    {
        state.keep_rights(&rights, client.fingerprint()).await?;
    }
    Ok(rights)
}

/// What the credentials allow. What has no answer at all is an error.
async fn probe(client: &Client) -> Result<Rights> {
    let name = own_name();
    note(&name).await;
    let rights = probe_as(client, &name).await;
    // What is left of it after an error, the next process removes.
    if rights.is_ok() {
        clear(&name).await;
    }
    rights
}

/// The object of this name beside the repository.
pub(crate) fn key(client: &Client, name: &str) -> String {
    match client.prefix() {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    }
}

async fn probe_as(client: &Client, own: &str) -> Result<Rights> {
    let own = key(client, own);
    let mut probe = Probe {
        client,
        key: own.clone(),
        rights: Rights::unknown(),
        versions: Vec::new(),
    };
    // Removing what is not there takes the same right.
    match client.delete(&own, None).await {
        // Some servers say that it is not there.
        Err(Fault::Missing(_)) => {}
        removed => match allowed(removed)? {
            Tried::Done(removed) => probe.note_version(&removed),
            _ => probe.key = key(client, SHARED),
        },
    }
    let is_own = probe.key == own;
    // The mark that something was removed which was not there.
    let marks = std::mem::take(&mut probe.versions);
    let stored = probe.put().await?;
    probe.get(stored).await?;
    probe.list(stored).await?;
    if stored {
        probe.retention().await?;
    }
    probe.versions.extend(marks);
    probe.delete().await?;
    if is_own && probe.rights.delete.is_yes() {
        remove_shared(client).await;
    }
    Ok(probe.rights)
}

/// Removes what those left who may not remove it, unless one of them uses it. Where that fails, it does no harm.
async fn remove_shared(client: &Client) {
    let shared = key(client, SHARED);
    let Ok(found) = client.head(&shared).await else {
        return;
    };
    let stored = found.header("last-modified").and_then(instant);
    if stored.is_some_and(|stored| now().seconds - stored.seconds > IN_USE) {
        let _ = client.delete(&shared, None).await;
    }
}

struct Probe<'a> {
    client: &'a Client,
    key: String,
    rights: Rights,
    /// Versions that the probe made.
    versions: Vec<String>,
}

impl Probe<'_> {
    /// Stores the object, and again where it is now. Answers whether it is there.
    async fn put(&mut self) -> Result<bool> {
        let first = allowed(self.client.put(&self.key, CONTENTS, true).await);
        let (there, first) = match first? {
            // One of an earlier probe: whether anything may be stored, the next attempt tells.
            Tried::Exists => (true, None),
            Tried::Done(answer) => {
                self.rights.put = Answer::Yes;
                (true, Some(answer))
            }
            Tried::Denied => {
                self.rights.put = Answer::No;
                self.rights.overwrite = Answer::No;
                return Ok(false);
            }
            // Such a server does not know the condition.
            Tried::Unsupported => (false, None),
        };
        self.rights.put_if_absent = Answer::from(there && first.is_none());
        if let Some(answer) = &first {
            self.note_version(answer);
            let again = allowed(self.client.put(&self.key, CONTENTS, true).await)?;
            self.rights.put_if_absent = Answer::from(matches!(again, Tried::Exists));
            if let Tried::Done(answer) = again {
                self.note_version(&answer);
                self.rights.overwrite = Answer::Yes;
                return Ok(true);
            }
        }
        let again = allowed(self.client.put(&self.key, CONTENTS, false).await)?;
        if let Tried::Done(answer) = again {
            self.note_version(&answer);
            self.rights.put = Answer::Yes;
            self.rights.overwrite = if there { Answer::Yes } else { Answer::Unknown };
            return Ok(true);
        }
        self.rights.overwrite = Answer::No;
        if self.rights.put != Answer::Yes {
            // What is new may be stored all the same.
            self.rights.put = self.put_new().await?;
        }
        Ok(there)
    }

    /// Whether an object of a name that nobody has used can be stored.
    async fn put_new(&self) -> Result<Answer> {
        let key = key(self.client, &own_name());
        let tried = allowed(self.client.put(&key, CONTENTS, false).await)?;
        let put = Answer::from(matches!(tried, Tried::Done(_)));
        if put.is_yes() {
            allowed(self.client.delete(&key, None).await)?;
        }
        Ok(put)
    }

    /// Reads the object, or one of the repository where it could not be stored.
    async fn get(&mut self, stored: bool) -> Result<()> {
        let key = if stored {
            self.key.clone()
        } else {
            match self.client.prefix() {
                "" => "config".to_owned(),
                prefix => format!("{prefix}/config"),
            }
        };
        self.rights.get = match self.client.get(&key, 1 << 20).await {
            Ok(contents) if !stored || contents == CONTENTS => Answer::Yes,
            // It is not a refusal: what is stored there is not to be taken for out of reach.
            Ok(_) => {
                return Err(Error::Unavailable(
                    "the server returned other data than was stored a moment before: do not rely on this server".into(),
                ));
            }
            // A refusal of what is there is one; one of what may not be there is none.
            Err(Fault::Denied(..)) if stored => Answer::No,
            Err(Fault::Denied(..)) => Answer::Unknown,
            Err(Fault::Missing(_)) if stored => {
                self.rights.notes.push(
                    "an object cannot be read right after it was stored: do not rely on this server"
                        .into(),
                );
                Answer::Unknown
            }
            // Who may not look is told that it is forbidden, and not that it is not there.
            Err(Fault::Missing(_)) => Answer::Yes,
            Err(other) => return Err(other.into()),
        };
        Ok(())
    }

    async fn list(&mut self, stored: bool) -> Result<()> {
        self.rights.list = match self.client.page(&self.key, None).await {
            Ok(page) => {
                if stored && !page.objects.iter().any(|(key, _)| *key == self.key) {
                    self.rights.notes.push(
                        "an object is not listed right after it was stored: this server's listings lag behind"
                            .into(),
                    );
                }
                Answer::Yes
            }
            Err(Fault::Denied(..)) => Answer::No,
            Err(other) => return Err(other.into()),
        };
        if self.rights.get == Answer::Unknown && self.rights.list.is_yes() && !stored {
            // With the right to list, what is not there is not forbidden.
            self.rights.get = Answer::No;
        }
        Ok(())
    }

    /// Whether what is stored is kept for a time, and old versions for good.
    async fn retention(&mut self) -> Result<()> {
        self.rights.versioned = Answer::from(!self.versions.is_empty());
        self.rights.object_lock = match self.client.head(&self.key).await {
            Ok(answer) => Answer::from(answer.header("x-amz-object-lock-mode").is_some()),
            Err(Fault::Denied(..) | Fault::Missing(_)) => Answer::Unknown,
            Err(other) => return Err(other.into()),
        };
        Ok(())
    }

    async fn delete(&mut self) -> Result<()> {
        let removed = allowed(self.client.delete(&self.key, None).await)?;
        let Tried::Done(removed) = removed else {
            self.rights.delete = Answer::No;
            return Ok(());
        };
        self.note_version(&removed);
        self.rights.delete = Answer::Yes;
        if self.rights.get.is_yes() && self.client.get(&self.key, 1 << 20).await.is_ok() {
            self.rights.delete = Answer::No;
            self.rights
                .notes
                .push("deleted objects stay, although the server says that they are gone".into());
        }
        // A bucket with versions keeps each of them, and the mark that it was removed.
        for version in std::mem::take(&mut self.versions) {
            allowed(self.client.delete(&self.key, Some(&version)).await)?;
        }
        Ok(())
    }

    fn note_version(&mut self, answer: &HttpAnswer) {
        let version = answer.header("x-amz-version-id");
        let version = version.filter(|version| *version != "null");
        self.versions.extend(version.map(str::to_owned));
    }
}

/// How an attempt ended.
enum Tried {
    Done(HttpAnswer),
    Denied,
    Exists,
    Unsupported,
}

fn allowed(result: Result<HttpAnswer, Fault>) -> Result<Tried> {
    match result {
        Ok(answer) => Ok(Tried::Done(answer)),
        Err(Fault::Denied(..)) => Ok(Tried::Denied),
        Err(Fault::Exists) => Ok(Tried::Exists),
        Err(Fault::Unsupported(_)) => Ok(Tried::Unsupported),
        Err(other) => Err(other.into()),
    }
}
