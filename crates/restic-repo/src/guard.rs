//! Protects a snapshot that is written without a lock.
//!
//! A lock that cannot be removed would stay for ever and block every prune. So a program without delete permission
//! writes no lock. Instead, before and after it stores the snapshot, it looks for exclusive locks, and checks that
//! all packs from before still exist. A prune holds an exclusive lock from before it reads the snapshots until after
//! its last removal. So if a prune did not see this snapshot, either its lock still exists when the snapshot is
//! stored, or its removals are already visible. The next run does not use missing packs. It stores their blobs again,
//! which repairs what needs them.

use std::collections::{HashMap, HashSet};

use crate::core::Core;
use crate::lock::{self, Claim};
use crate::snapshot::Snapshot;
use crate::tree::Tree;
use crate::walk::walk;
use crate::{Access, Error, FileKind, Id, Platform, Result};

/// The packs that a snapshot in the making counts on, where it cannot lock them.
#[derive(Default)]
pub(crate) struct Guard {
    packs: HashSet<Id>,
}

impl Guard {
    /// Begins a snapshot, which can count on these packs: makes the index forget what cannot be counted on.
    pub(crate) async fn begin<P: Platform>(
        core: &Core<P>,
        there: HashSet<Id>,
        snapshots: &[Snapshot],
        dry_run: bool,
    ) -> Result<Self> {
        let mut guard = Self::default();
        match core.platform.access() {
            Access::Full => {}
            Access::ReadOnly if dry_run => {}
            Access::AppendOnly => guard.packs = there,
            Access::WriteOnly => trust_latest(core, snapshots).await?,
            Access::ReadOnly => {
                return Err(Error::Denied(
                    "nothing may be stored in this repository, only read".into(),
                ));
            }
        }
        Ok(guard)
    }

    /// Adds the packs of the snapshot itself.
    pub(crate) fn extend(&mut self, packs: Vec<Id>) {
        self.packs.extend(packs);
    }

    /// Whether everything that the snapshot needs is there, before it is stored.
    pub(crate) async fn confirm<P: Platform>(&self, core: &Core<P>) -> Result<()> {
        if core.platform.access() != Access::AppendOnly {
            return Ok(());
        }
        lock::refuse_if_locked(core, Claim::Shared, None).await?;
        let listed = core.list_packs().await?;
        for pack in self.packs.difference(&listed) {
            // The listing may have lagged behind.
            if core.platform.length(FileKind::Pack, *pack).await?.is_none() {
                return Err(Error::Unavailable(format!(
                    "the pack {} was removed while this backup ran, perhaps by a prune: run the backup again",
                    pack.short()
                )));
            }
        }
        Ok(())
    }

    /// The same after the snapshot was stored.
    pub(crate) async fn confirm_after<P: Platform>(
        &self,
        core: &Core<P>,
        snapshot: Id,
    ) -> Result<()> {
        self.confirm(core).await.map_err(|error| {
            Error::Unavailable(format!(
                "the snapshot {} was stored, but may lack data ({error}): run the backup again when nobody \
                 prunes, which stores what is missing",
                snapshot.short()
            ))
        })
    }
}

/// Makes the index forget all blobs but those of the latest snapshot of each host and paths.
/// Whoever prunes a repository that this machine cannot look into keeps those, whatever else
/// he forgets.
async fn trust_latest<P: Platform>(core: &Core<P>, snapshots: &[Snapshot]) -> Result<()> {
    let mut latest = HashMap::new();
    // They come the oldest first.
    for snapshot in snapshots {
        let mut paths = snapshot.paths.clone();
        paths.sort();
        latest.insert((&snapshot.hostname, paths), snapshot.tree);
    }
    let mut trees = HashSet::new();
    let mut data = HashSet::new();
    let visit = |id, loaded: Result<Tree>| match loaded {
        Ok(tree) => {
            trees.insert(id);
            data.extend(
                tree.nodes
                    .into_iter()
                    .filter_map(|node| node.content)
                    .flatten(),
            );
            Ok(())
        }
        // Nothing is known of what is below it.
        Err(Error::Corrupt(_) | Error::NotFound(_) | Error::Denied(_)) => Ok(()),
        Err(error) => Err(error),
    };
    walk(core, latest.into_values(), visit).await?;
    core.index.borrow_mut().retain(&data, &trees);
    Ok(())
}
