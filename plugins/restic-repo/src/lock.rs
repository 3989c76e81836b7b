//! Locks: who is at work in a repository. Source: restic's `locks` files.
//!
//! Everybody who uses a repository puts a lock there; who removes data puts an exclusive one
//! and waits for nobody else to be there. Locks that were not refreshed for half an hour
//! belong to somebody who is gone.

use std::rc::Rc;

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::tree::time;
use crate::{Error, FileKind, Id, Instant, Platform, Result};

/// A lock that is older was left behind, in seconds.
const STALE: i64 = 30 * 60;

/// How often a lock is refreshed, in seconds.
const REFRESH: i64 = 5 * 60;

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(with = "time")]
    time: Instant,
    exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
}

/// A lock that says that the repository is used and nothing may be removed from it.
pub(crate) struct Lock<P: Platform> {
    core: Rc<Core<P>>,
    id: Id,
    refreshed: Instant,
}

impl<P: Platform> Lock<P> {
    /// Puts a lock there, unless somebody has an exclusive one.
    pub(crate) async fn acquire(core: &Rc<Core<P>>) -> Result<Self> {
        refuse_if_locked(core, None).await?;
        let now = core.platform.now();
        let lock = Self {
            core: core.clone(),
            id: write(core, now).await?,
            refreshed: now,
        };
        // Somebody may have put an exclusive one there at the same time: whoever sees the
        // other one gives way.
        if let Err(error) = refuse_if_locked(core, Some(lock.id)).await {
            lock.release().await?;
            return Err(error);
        }
        Ok(lock)
    }

    /// Refreshes the lock when it is time: the new one first, then the old one away.
    pub(crate) async fn refresh(&mut self) -> Result<()> {
        let now = self.core.platform.now();
        if now.seconds - self.refreshed.seconds < REFRESH {
            return Ok(());
        }
        let id = write(&self.core, now).await?;
        let old = std::mem::replace(&mut self.id, id);
        self.refreshed = now;
        self.core.platform.remove(FileKind::Lock, old).await
    }

    /// Takes the lock away.
    pub(crate) async fn release(self) -> Result<()> {
        self.core.platform.remove(FileKind::Lock, self.id).await
    }
}

async fn write<P: Platform>(core: &Core<P>, time: Instant) -> Result<Id> {
    let caller = &core.caller;
    let file = File {
        time,
        exclusive: false,
        hostname: caller.hostname.clone(),
        username: caller.username.clone(),
        pid: caller.process_id.into(),
        uid: Some(caller.user_id),
        gid: Some(caller.group_id),
    };
    core.save(FileKind::Lock, &file).await
}

/// Fails while somebody else has the repository for himself.
pub(crate) async fn refuse_if_locked<P: Platform>(core: &Core<P>, own: Option<Id>) -> Result<()> {
    let now = core.platform.now();
    let others: Vec<_> = core.platform.list(FileKind::Lock).await?;
    let others = others.into_iter().filter(|other| Some(other.id) != own);
    let mut locks = stream::iter(others)
        .map(|other| core.load::<File>(FileKind::Lock, other.id))
        .buffer_unordered(4);
    while let Some(lock) = locks.next().await {
        match lock {
            Ok(lock) if lock.exclusive && now.seconds - lock.time.seconds <= STALE => {
                let since = jiff::Timestamp::from_second(lock.time.seconds).unwrap_or_default();
                return Err(Error::Locked(format!(
                    "the repository is locked exclusively by process {} of {} on {} since {since}; \
                     if that process is gone, `restic unlock` removes the lock",
                    lock.pid, lock.username, lock.hostname
                )));
            }
            // One that vanished was released, one that is damaged or stale holds nobody back.
            Ok(_) | Err(Error::NotFound(_) | Error::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
