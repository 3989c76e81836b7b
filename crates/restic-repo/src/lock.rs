//! Locks: who is at work in a repository. Source: restic's `locks` files.
//!
//! Everybody who uses a repository puts a lock there; who removes data puts an exclusive one
//! and waits for nobody else to be there. Locks that were not refreshed for half an hour
//! belong to somebody who is gone.

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::tree::time;
use crate::{Error, FileKind, Id, Instant, Platform, Result};

/// A lock that is older was left behind, in seconds.
const STALE: i64 = 30 * 60;

/// How often a lock is refreshed, in seconds.
const REFRESH: i64 = 5 * 60;

/// Locks that are read at a time.
const READERS: usize = 4;

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

/// What a lock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The repository is used, and nothing may be removed from it.
    Shared,
    /// Nobody else may use it.
    Exclusive,
}

/// A lock that this process has in the repository.
#[derive(Clone, Copy)]
pub(crate) struct Lock {
    id: Id,
    claim: Claim,
    refreshed: Instant,
}

impl<P: Platform> Core<P> {
    /// Puts a lock there that says this, in the place of one that says something else; an error
    /// while somebody else has one that keeps it out.
    pub(crate) async fn lock(&self, claim: Claim) -> Result<()> {
        let held = self.lock.get();
        if held.is_some_and(|held| held.claim == claim) {
            return Ok(());
        }
        self.unlock().await?;
        refuse_if_locked(self, claim, None).await?;
        let now = self.platform.now();
        let id = write(self, claim, now).await?;
        self.lock.set(Some(Lock {
            id,
            claim,
            refreshed: now,
        }));
        let alone = confirm_alone(self, claim, id).await;
        if alone.is_err() {
            self.unlock().await?;
        }
        alone
    }

    /// Refreshes the lock when it is time: the new one first, then the old one away. To be called
    /// now and then, by whatever takes long.
    pub(crate) async fn refresh_lock(&self) -> Result<()> {
        let Some(held) = self.lock.get() else {
            return Ok(());
        };
        let now = self.platform.now();
        let age = now.seconds - held.refreshed.seconds;
        if age < REFRESH {
            return Ok(());
        }
        if held.claim == Claim::Exclusive && age > STALE {
            return Err(Error::Locked(
                "its lock was not refreshed for half an hour, and others may be at work by now: run it again"
                    .into(),
            ));
        }
        // Whoever else comes here meanwhile has nothing to do.
        self.lock.set(Some(Lock {
            refreshed: now,
            ..held
        }));
        let id = write(self, held.claim, now).await?;
        self.lock.set(Some(Lock {
            id,
            refreshed: now,
            ..held
        }));
        self.platform.remove(FileKind::Lock, held.id).await
    }

    /// Takes the lock away, if there is one.
    pub(crate) async fn unlock(&self) -> Result<()> {
        match self.lock.take() {
            Some(held) => self.platform.remove(FileKind::Lock, held.id).await,
            None => Ok(()),
        }
    }

    /// Removes the locks of those who are gone, or of all others. Answers how many there were.
    pub(crate) async fn remove_locks(&self, all: bool) -> Result<u64> {
        let own = self.lock.get().map(|held| held.id);
        let mut removed = 0;
        for (id, lock) in others(self, own).await? {
            if all || lock.is_none_or(|lock| is_stale(self, &lock)) {
                self.platform.remove(FileKind::Lock, id).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

async fn write<P: Platform>(core: &Core<P>, claim: Claim, time: Instant) -> Result<Id> {
    let caller = &core.caller;
    let file = File {
        time,
        exclusive: claim == Claim::Exclusive,
        hostname: caller.hostname.clone(),
        username: caller.username.clone(),
        pid: caller.process_id.into(),
        uid: Some(caller.user_id),
        gid: Some(caller.group_id),
    };
    core.save(FileKind::Lock, &file).await
}

/// Fails while somebody else has a lock that keeps this claim out.
pub(crate) async fn refuse_if_locked<P: Platform>(
    core: &Core<P>,
    claim: Claim,
    own: Option<Id>,
) -> Result<()> {
    // One that is damaged holds nobody back.
    let locks = others(core, own).await?.into_iter();
    let mut locks = locks.filter_map(|(_, lock)| lock);
    let keeps_out =
        |lock: &File| (lock.exclusive || claim == Claim::Exclusive) && !is_stale(core, lock);
    let Some(lock) = locks.find(keeps_out) else {
        return Ok(());
    };
    let how = if lock.exclusive {
        "locked exclusively"
    } else {
        "in use"
    };
    let since = jiff::Timestamp::from_second(lock.time.seconds).unwrap_or_default();
    Err(Error::Locked(format!(
        "the repository is {how} by process {} of {} on {} since {since}; \
         if that process is gone, `tthost unlock --all` removes the lock",
        lock.pid, lock.username, lock.hostname
    )))
}

/// Fails when somebody put a lock there at the same time: whoever sees the other one gives way.
async fn confirm_alone<P: Platform>(core: &Core<P>, claim: Claim, own: Id) -> Result<()> {
    if claim == Claim::Exclusive {
        let listed = core.platform.list(FileKind::Lock).await?;
        if !listed.iter().any(|lock| lock.id == own) {
            // Then the locks of others may be missing too, and their snapshots, whose packs would
            // be removed.
            return Err(Error::Unavailable(
                "a lock was stored and is not listed: the listings of this store lag behind, and nothing can be \
                 removed safely after them; run it again later"
                    .into(),
            ));
        }
    }
    refuse_if_locked(core, claim, Some(own)).await
}

/// The locks of others; nothing for the contents of one that is damaged.
async fn others<P: Platform>(core: &Core<P>, own: Option<Id>) -> Result<Vec<(Id, Option<File>)>> {
    let listed = core.platform.list(FileKind::Lock).await?;
    let mut loaded = stream::iter(listed.into_iter().filter(|other| Some(other.id) != own))
        .map(async |other| (other.id, core.load(FileKind::Lock, other.id).await))
        .buffer_unordered(READERS);
    let mut locks = Vec::new();
    while let Some((id, lock)) = loaded.next().await {
        match lock {
            Ok(lock) => locks.push((id, Some(lock))),
            Err(Error::Corrupt(_)) => locks.push((id, None)),
            // It was released.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(locks)
}

fn is_stale<P: Platform>(core: &Core<P>, lock: &File) -> bool {
    core.platform.now().seconds - lock.time.seconds > STALE
}
