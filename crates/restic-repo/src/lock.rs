//! Locks: they show who uses a repository. Source: restic's `locks` files.
//!
//! Every program that uses a repository creates a lock. A program that removes data creates an exclusive lock, and
//! waits until there are no others. Locks that were not refreshed for half an hour are stale. So are noted locks of
//! processes of this machine that died before removing them.
//!
//! A lost lock protects nothing: a concurrent prune does not know of the packs that are about to be referenced. So a
//! writer checks its lock before it stores a snapshot, and stops as soon as the lock is known to be lost.

use std::collections::{HashMap, HashSet};
use std::rc::Weak;

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::tree::time;
use crate::{Error, FileKind, Id, Instant, Platform, Result};

/// Locks older than this are stale, in seconds.
const STALE: i64 = 30 * 60;

/// How often a lock is refreshed, in seconds.
const REFRESH: i64 = 5 * 60;

/// How often the age of the lock is checked, in seconds.
const TICK: u64 = 60;

/// The prefix of the notes about own locks.
const NOTE: &str = "locks/";

/// Locks read concurrently.
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

/// The kinds of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The repository is in use. Nobody may remove anything.
    Shared,
    /// Nobody else may use the repository.
    Exclusive,
}

/// A lock of this process.
#[derive(Clone, Copy)]
pub(crate) struct Lock {
    id: Id,
    claim: Claim,
    refreshed: Instant,
}

impl Lock {
    pub(crate) fn id(self) -> Id {
        self.id
    }

    /// Its age in seconds.
    pub(crate) fn age(self, now: i64) -> i64 {
        now - self.refreshed.seconds
    }
}

impl<P: Platform> Core<P> {
    /// Takes a lock with this claim, and replaces a lock with another claim. Fails while a conflicting
    /// lock of another process exists.
    pub(crate) async fn lock(&self, claim: Claim) -> Result<()> {
        let held = self.lock.get();
        if held.is_some_and(|held| held.claim == claim) {
            return Ok(());
        }
        self.unlock().await?;
        refuse_if_locked(self, claim, None).await?;
        let now = self.platform.now();
        let id = match write(self, claim, now).await {
            Err(Error::NoSpace(text)) if claim == Claim::Exclusive => {
                // A prune must work on a full disk, because it frees space.
                self.platform.warn(&format!(
                    "no lock keeps others out, because there is no room for one ({text}): nobody else may use the \
                     repository now"
                ));
                return Ok(());
            }
            id => id?,
        };
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

    /// Refreshes the lock when it is due: writes the new lock, then removes the old one.
    pub(crate) async fn refresh_lock(&self) -> Result<()> {
        self.expect_lock()?;
        let Some(held) = self.lock.get() else {
            return Ok(());
        };
        let now = self.platform.now();
        if now.seconds - held.refreshed.seconds < REFRESH {
            return Ok(());
        }
        self.confirm_lock().await?;
        // A concurrent call has nothing to do.
        self.lock.set(Some(Lock {
            refreshed: now,
            ..held
        }));
        let written = write(self, held.claim, now).await;
        let Ok(id) = written else {
            self.lock.set(Some(held));
            return written.map(drop);
        };
        self.lock.set(Some(Lock {
            id,
            refreshed: now,
            ..held
        }));
        remove(self, held.id).await
    }

    /// Whether the lock exists and never was lost.
    pub(crate) async fn confirm_lock(&self) -> Result<()> {
        let Some(held) = self.lock.get() else {
            return Ok(());
        };
        let mut is_lost = self.lock_is_lost.get();
        let now = self.platform.now();
        is_lost |= now.seconds - held.refreshed.seconds > STALE;
        is_lost = is_lost
            || self.platform.length(FileKind::Lock, held.id).await?.is_none()
                // A concurrent call has refreshed it.
                && self.lock.get().is_some_and(|now| now.id == held.id);
        self.lock_is_lost.set(is_lost);
        self.expect_lock()
    }

    /// Fails if the lock is known to be lost.
    pub(crate) fn expect_lock(&self) -> Result<()> {
        if !self.lock_is_lost.get() {
            return Ok(());
        }
        Err(Error::Unavailable(
            "its lock was removed, or was not refreshed for half an hour, so somebody may have removed data that it counts on: \
             run it again"
                .into(),
        ))
    }

    /// Refreshes the lock as long as the repository is open.
    pub(crate) async fn keep_lock(core: Weak<Self>) {
        while let Some(open) = core.upgrade() {
            open.platform.sleep(TICK).await;
            // The next round tries again. After too long, the lock is lost, and the next write
            // finds out.
            let _ = open.refresh_lock().await;
        }
    }

    /// Removes the lock, if there is one.
    pub(crate) async fn unlock(&self) -> Result<()> {
        self.lock_is_lost.set(false);
        match self.lock.take() {
            Some(held) => remove(self, held.id).await,
            None => Ok(()),
        }
    }

    /// Removes the locks of dead processes of this machine. Returns their number.
    pub(crate) async fn remove_abandoned_locks(&self) -> Result<u64> {
        let mut removed = 0;
        for (name, id) in abandoned(self).await {
            if self.platform.length(FileKind::Lock, id).await?.is_some() {
                self.platform.remove(FileKind::Lock, id).await?;
                removed += 1;
            }
            self.platform.clear(&name).await;
        }
        Ok(removed)
    }

    /// Whether a lock belongs to a dead process of this machine. Locks of other programs have no notes.
    fn is_leftover(&self, lock: &File) -> bool {
        let is_here = lock.hostname == self.caller.hostname;
        let process = u32::try_from(lock.pid).ok().filter(|process| *process > 0);
        is_here && process.is_some_and(|process| self.platform.is_gone(process))
    }

    /// Removes the locks of dead processes, or of all others. Returns their number.
    pub(crate) async fn remove_locks(&self, all: bool) -> Result<u64> {
        let own = self.lock.get().map(|held| held.id);
        let mut removed = self.remove_abandoned_locks().await?;
        for (id, lock) in others(self, own).await? {
            let is_over = match lock {
                _ if all => true,
                Found::Read(lock) => is_stale(self, &lock) || self.is_leftover(&lock),
                // Its owner may still be writing it.
                Found::Damaged | Found::Hidden(_) => is_old(self, id).await?,
            };
            if is_over {
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
    let (id, bytes) = core.encode(&file).await?;
    core.platform.note(&format!("{NOTE}{id}")).await;
    let written = core.platform.write(FileKind::Lock, id, bytes).await;
    match written {
        Ok(()) => Ok(id),
        Err(error) => {
            if !may_be_stored(&error) {
                core.platform.clear(&format!("{NOTE}{id}")).await;
            }
            Err(error)
        }
    }
}

/// Whether the file may be stored despite this error, because only the answer was lost. Then the note stays, and the
/// next process looks for the file.
fn may_be_stored(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Other(_))
}

async fn remove<P: Platform>(core: &Core<P>, id: Id) -> Result<()> {
    core.platform.remove(FileKind::Lock, id).await?;
    core.platform.clear(&format!("{NOTE}{id}")).await;
    Ok(())
}

/// Fails while another process has a lock that conflicts with this claim.
pub(crate) async fn refuse_if_locked<P: Platform>(
    core: &Core<P>,
    claim: Claim,
    own: Option<Id>,
) -> Result<()> {
    let locks = others(core, own).await?;
    if claim == Claim::Exclusive {
        for (id, _) in locks.iter().filter(|(_, lock)| !lock.is_read()) {
            if !is_old(core, *id).await? {
                return Err(Error::Locked(format!(
                    "the lock {} cannot be read, and may be somebody's who has begun to write it; if nobody uses the repository, \
                     `tthost unlock --all` removes it",
                    id.short()
                )));
            }
        }
    }
    // A damaged, old lock conflicts with nothing.
    let mut seen = locks.iter().filter_map(|(_, lock)| lock.file());
    let keeps_out =
        |lock: &&File| (lock.exclusive || claim == Claim::Exclusive) && !is_stale(core, lock);
    let Some(lock) = seen.find(keeps_out) else {
        return refuse_if_hidden(core, &locks).await;
    };
    let how = if lock.exclusive {
        "locked exclusively"
    } else {
        "in use"
    };
    let all = if core.is_leftover(lock) { "" } else { " --all" };
    let since = jiff::Timestamp::from_second(lock.time.seconds).unwrap_or_default();
    Err(Error::Locked(format!(
        "the repository is {how} by process {} of {} on {} since {since}; \
         if that process is gone, `tthost unlock{all}` removes the lock",
        lock.pid, lock.username, lock.hostname
    )))
}

/// Fails while there is an unreadable lock that may be in use: it may be exclusive.
async fn refuse_if_hidden<P: Platform>(core: &Core<P>, locks: &[(Id, Found)]) -> Result<()> {
    for (id, lock) in locks {
        if let Found::Hidden(cause) = lock
            && !is_old(core, *id).await?
        {
            return Err(Error::Unavailable(format!(
                "the lock {} may keep everybody out, and cannot be read: {cause}; if nobody uses the repository, \
                 `tthost unlock --all` removes it",
                id.short()
            )));
        }
    }
    Ok(())
}

/// Fails if another process has taken a lock at the same time. Each process that sees the other's lock gives way.
async fn confirm_alone<P: Platform>(core: &Core<P>, claim: Claim, own: Id) -> Result<()> {
    if claim == Claim::Exclusive {
        let listed = core.platform.list(FileKind::Lock).await?;
        if !listed.iter().any(|lock| lock.id == own) {
            // Then the listing may also lack the locks and snapshots of others, whose packs would
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

/// The result of reading another process's lock.
enum Found {
    Read(File),
    /// It is readable, but does not contain a lock.
    Damaged,
    /// It is unreadable, for this reason.
    Hidden(String),
}

impl Found {
    fn file(&self) -> Option<&File> {
        match self {
            Self::Read(file) => Some(file),
            Self::Damaged | Self::Hidden(_) => None,
        }
    }

    fn is_read(&self) -> bool {
        self.file().is_some()
    }
}

/// The locks that dead processes of this machine have left, by the names of their notes.
async fn abandoned<P: Platform>(core: &Core<P>) -> HashMap<String, Id> {
    let left = core.platform.left().await.into_iter();
    let locks = left.filter_map(|name| {
        let id = name.strip_prefix(NOTE)?.parse().ok()?;
        Some((name, id))
    });
    locks.collect()
}

/// The locks of other processes that may be alive.
async fn others<P: Platform>(core: &Core<P>, own: Option<Id>) -> Result<Vec<(Id, Found)>> {
    let mut listed = core.platform.list(FileKind::Lock).await?;
    // With read-only access, the locks of dead processes are still there.
    let gone: HashSet<Id> = abandoned(core).await.into_values().collect();
    listed.retain(|other| Some(other.id) != own && !gone.contains(&other.id));
    let mut looked = stream::iter(listed)
        .map(async |other| (other.id, look(core, other.id).await))
        .buffer_unordered(READERS);
    let mut locks = Vec::new();
    while let Some((id, lock)) = looked.next().await {
        locks.extend(lock?.map(|lock| (id, lock)));
    }
    Ok(locks)
}

/// Reads a lock. `None` if it was released.
async fn look<P: Platform>(core: &Core<P>, id: Id) -> Result<Option<Found>> {
    let sealed = match core.platform.read(FileKind::Lock, id).await {
        Ok(sealed) => sealed,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(Error::Corrupt(cause)) => return Ok(Some(Found::Hidden(cause))),
        Err(error) => return Err(error),
    };
    match core.decode(FileKind::Lock, id, sealed).await {
        Ok(file) => Ok(Some(Found::Read(file))),
        Err(Error::Corrupt(_)) => Ok(Some(Found::Damaged)),
        Err(error) => Err(error),
    }
}

/// Whether an unreadable lock was stored long ago. A lock that is gone counts as old.
async fn is_old<P: Platform>(core: &Core<P>, id: Id) -> Result<bool> {
    let stored = match core.platform.stored(FileKind::Lock, id).await {
        // If its age is unknown, it does not count as old.
        Err(Error::Corrupt(_)) => return Ok(false),
        stored => stored?,
    };
    let now = core.platform.now().seconds;
    Ok(stored.is_none_or(|stored| now - stored.seconds > STALE))
}

fn is_stale<P: Platform>(core: &Core<P>, lock: &File) -> bool {
    core.platform.now().seconds - lock.time.seconds > STALE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_may_hold_anything() {
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "lock", &[], |bytes| {
            if let Ok(lock) = serde_json::from_slice::<File>(bytes) {
                // Its age by the clock that other machines use, too.
                let _ = 1_700_000_000 - lock.time.seconds > STALE;
                let _ = jiff::Timestamp::from_second(lock.time.seconds);
            }
        });
    }
}
