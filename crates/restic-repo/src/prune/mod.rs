//! Removes snapshots, and the data that no snapshot needs any more.
//!
//! Both happen under an exclusive lock, and can be interrupted at any point. A snapshot is removed only after all
//! remaining snapshots were found to be complete. To reclaim space, data that is still needed is first stored in new
//! packs, then an index of everything that stays is stored. Only then are the old index and the old packs removed, in
//! this order, so that nothing refers to missing data.

mod plan;
mod repack;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures::{StreamExt as _, stream};

use crate::backup::Cleanup;
use crate::core::Core;
use crate::error::corrupt;
use crate::index::{Index, IndexWriter, Rest};
use crate::pack::{BlobType, Built, pack_length};
use crate::snapshot;
use crate::tree::Tree;
use crate::walk::walk;
use crate::{Error, FileKind, Id, Instant, Platform, Result};
use plan::{Needed, Plan};

/// Files removed concurrently.
const REMOVERS: usize = 8;

/// Files whose age is looked up concurrently.
const LOOKERS: usize = 8;

/// How long an unindexed pack may belong to a running backup, in seconds.
const YOUNG: i64 = 24 * 60 * 60;

/// How far file times may be ahead of the store's clock, in seconds. Later times are ignored.
const SKEW: i64 = 5 * 60;

/// What a reclaim did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Packs that were removed.
    pub packs_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Packs that were written with the data that is still needed.
    pub packs_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Bytes of all remaining packs.
    pub bytes_left: u64,
    /// Bytes in remaining packs that no snapshot needs. Freeing them would take many more writes.
    pub bytes_unused: u64,
}

impl Plan {
    /// The new packs to write.
    fn batches(&self) -> Vec<repack::Batch> {
        let taken = self.repack.iter().flat_map(|repack| &repack.taken);
        repack::batches(&taken.copied().collect::<Vec<_>>())
    }
}

/// The contents of the repository, and the plan for them.
pub(crate) struct Inventory {
    indexes: Vec<Id>,
    plan: Plan,
    /// Bytes of packs that stay regardless of the plan.
    spared: u64,
    /// It covers all snapshots.
    is_whole: bool,
}

impl Inventory {
    /// Whether it covers all snapshots.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// Takes the inventory for the snapshots that remain without the forgotten ones. Fails if data that they need is
/// missing. Afterwards the index contains only what is stored.
pub(crate) async fn take_inventory<P: Platform>(
    core: &Core<P>,
    forgotten: &[Id],
    damaged: Damaged,
) -> Result<Inventory> {
    let (mut index, indexes) = core.read_whole_index().await.map_err(unindexed)?;
    let listed = core.platform.list(FileKind::Pack).await?;
    let mut there: HashMap<Id, u64> = listed.iter().map(|pack| (pack.id, pack.length)).collect();
    let mut spared = spare_young(core, &index, &mut there).await?;
    index.rely_on(&there, Rest::Dropped);
    core.index.replace(index);
    let Remaining { trees, is_whole } = remaining(core, forgotten, damaged).await?;
    let plan = if trees.is_empty() && is_whole && forgotten.is_empty() {
        // No snapshot is listed. An incomplete listing looks the same, so everything stays.
        spared += there.values().sum::<u64>();
        Plan::default()
    } else {
        let needed = needed(core, &trees).await?;
        plan::plan(&core.index.borrow(), &there, needed)?
    };
    Ok(Inventory {
        indexes,
        plan,
        spared,
        is_whole,
    })
}

/// Removes snapshots.
pub(crate) async fn forget<P: Platform>(core: &Core<P>, ids: &[Id]) -> Result<()> {
    remove(core, FileKind::Snapshot, ids).await
}

/// Reports what a reclaim would do.
pub(crate) fn reclaimable(inventory: &Inventory) -> Reclaimed {
    report(&inventory.plan, &inventory.plan.batches(), inventory.spared)
}

/// Removes data that no snapshot needs. If the store is full, removes only packs of which nothing is needed.
pub(crate) async fn reclaim<P: Platform>(
    core: &Rc<Core<P>>,
    cleanup: &Cleanup,
    inventory: Inventory,
) -> Result<Reclaimed> {
    let Inventory {
        indexes,
        mut plan,
        spared,
        ..
    } = inventory;
    plan.point(&mut core.index.borrow_mut());
    let mut reclaimed = report(&plan, &plan.batches(), spared);
    match exchange(core, cleanup, &plan, &indexes).await {
        Err(Error::NoSpace(full)) => {
            // The new packs take up the space.
            cleanup.run(core).await?;
            plan = plan.without_repacking();
            reclaimed = report(&plan, &[], spared);
            free_room(core, &mut plan, &indexes, full).await?;
        }
        exchanged => exchanged?,
    }
    let gone: Vec<_> = plan.remove.iter().map(|pack| pack.id).collect();
    remove(core, FileKind::Pack, &gone).await?;
    core.remove_locks(false).await?;
    // The index is outdated.
    core.index.replace(Index::default());
    Ok(reclaimed)
}

/// Repacks the data that is still needed, and stores an index of everything that stays.
async fn exchange<P: Platform>(
    core: &Rc<Core<P>>,
    cleanup: &Cleanup,
    plan: &Plan,
    indexes: &[Id],
) -> Result<()> {
    let fresh = repack::repack(core, cleanup, plan.batches()).await?;
    // From here on, an index may refer to them.
    cleanup.forget();
    write_index(core, plan, &fresh, indexes).await
}

/// Frees space in a full store for the new index. If even the index does not fit, removes an unneeded pack first,
/// which the old index still lists. If that is interrupted, the next prune corrects it.
async fn free_room<P: Platform>(
    core: &Core<P>,
    plan: &mut Plan,
    indexes: &[Id],
    full: String,
) -> Result<()> {
    plan.remove.sort_by_key(|pack| pack.length);
    let Some(largest) = plan.remove.last().copied() else {
        return Err(Error::NoSpace(full));
    };
    core.platform.warn(
        "there is no room to store anything anew: only what nobody needs anything of is freed. Prune once more for the rest",
    );
    match write_index(core, plan, &[], indexes).await {
        Err(Error::NoSpace(_)) => {
            remove(core, FileKind::Pack, &[largest.id]).await?;
            plan.remove.pop();
            write_index(core, plan, &[], indexes).await
        }
        written => written,
    }
}

/// Stores an index of everything that stays, and removes the old one.
async fn write_index<P: Platform>(
    core: &Core<P>,
    plan: &Plan,
    fresh: &[Built],
    indexes: &[Id],
) -> Result<()> {
    if !plan.changes_index {
        return Ok(());
    }
    let mut writer = IndexWriter::default();
    let contents = core.index.borrow().contents();
    for pack in &plan.keep {
        let blobs = core.index.borrow().blobs_in(&contents, pack.id);
        writer.add(core, pack.id, &blobs).await?;
    }
    for built in fresh {
        writer.add(core, built.stored.id, &built.blobs).await?;
    }
    writer.finish(core).await?;
    remove(core, FileKind::Index, indexes).await
}

/// Excludes young, unindexed packs, and returns their bytes. A machine with write-only credentials sees no locks,
/// and may be about to index them.
async fn spare_young<P: Platform>(
    core: &Core<P>,
    index: &Index,
    there: &mut HashMap<Id, u64>,
) -> Result<u64> {
    let unlisted: Vec<Id> = there
        .keys()
        .filter(|id| !index.lists(**id))
        .copied()
        .collect();
    let mut ages = stream::iter(unlisted)
        .map(async |id| (id, core.platform.stored(FileKind::Pack, id).await))
        .buffer_unordered(LOOKERS);
    let now = now(core).await?;
    let mut spared = 0;
    while let Some((id, stored)) = ages.next().await {
        // A running backup stores no pack with a future date.
        let is_young = |stored: Instant| (-SKEW..=YOUNG).contains(&(now - stored.seconds));
        if stored?.is_none_or(is_young) {
            spared += there.remove(&id).unwrap_or_default();
        }
    }
    Ok(spared)
}

/// The time by the store's clock: the time of this process's own lock plus its age. Without a lock, this machine's
/// time.
async fn now<P: Platform>(core: &Core<P>) -> Result<i64> {
    let now = core.platform.now().seconds;
    let Some(lock) = core.lock.get() else {
        return Ok(now);
    };
    let stored = core.platform.stored(FileKind::Lock, lock.id()).await?;
    Ok(stored.map_or(now, |stored| stored.seconds + lock.age(now)))
}

/// How to treat a remaining snapshot that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// Nothing is removed.
    Refuse,
    /// The inventory ignores it.
    Disregard,
}

/// The remaining snapshots.
struct Remaining {
    trees: Vec<Id>,
    /// None of them is damaged.
    is_whole: bool,
}

async fn remaining<P: Platform>(
    core: &Core<P>,
    forget: &[Id],
    damaged: Damaged,
) -> Result<Remaining> {
    let mut forget: HashSet<Id> = forget.iter().copied().collect();
    let snapshots = core.try_load_all_alone::<snapshot::File>(FileKind::Snapshot);
    let mut trees = Vec::new();
    let mut is_whole = true;
    for (id, snapshot) in snapshots.await? {
        match snapshot {
            _ if forget.remove(&id) => {}
            Ok(snapshot) => trees.push(snapshot.tree),
            Err(_) if damaged == Damaged::Disregard => is_whole = false,
            Err(error) => {
                let id = id.short();
                return Err(corrupt(format!(
                    "{error}: nothing was freed, because nobody can say what that snapshot needs. Put its file back from \
                     a copy, or remove it with `tthost forget {id}`"
                )));
            }
        }
    }
    if let Some(missing) = forget.iter().next() {
        let short = missing.short();
        return Err(Error::NotFound(format!("there is no snapshot {short}")));
    }
    Ok(Remaining { trees, is_whole })
}

/// All blobs of these trees and the trees below. Fails if one of them is unreadable, so that nothing
/// is removed.
async fn needed<P: Platform>(core: &Core<P>, trees: &[Id]) -> Result<Needed> {
    let mut needed = Needed::none_of(&core.index.borrow());
    let visit = |id, loaded: Result<Tree>| {
        let tree = loaded.map_err(untouched)?;
        let index = core.index.borrow();
        needed.insert(&index, BlobType::Tree, id);
        for node in &tree.nodes {
            if let Some(flaw) = node.flaw() {
                let name = String::from_utf8_lossy(&node.name);
                let text = format!("\"{name}\" in the tree {}: {flaw}", id.short());
                return Err(untouched(corrupt(text)));
            }
        }
        let contents = tree.nodes.into_iter().filter_map(|node| node.content);
        for blob in contents.flatten() {
            needed.insert(&index, BlobType::Data, blob);
        }
        Ok(())
    };
    walk(core, trees.iter().copied(), visit).await?;
    Ok(needed)
}

/// Adds advice about an unreadable index.
fn unindexed(error: Error) -> Error {
    match error {
        Error::Corrupt(text) => corrupt(format!(
            "{text}: nothing was removed, because what that index lists may be needed. Put its file back from a copy, or let \
             `restic repair index` make a new one of what is there"
        )),
        other => other,
    }
}

/// Adds that nothing was removed.
fn untouched(error: Error) -> Error {
    match error {
        Error::Corrupt(text) => corrupt(format!(
            "{text}: nothing was removed, because a snapshot is damaged; `tthost check` tells which"
        )),
        other => other,
    }
}

fn report(plan: &Plan, batches: &[repack::Batch], spared: u64) -> Reclaimed {
    let written = batches.iter().map(|batch| pack_length(&batch.blobs));
    let bytes_written: u64 = written.sum();
    let kept: u64 = plan.keep.iter().map(|pack| pack.length).sum();
    Reclaimed {
        packs_removed: plan.remove.len() as u64,
        bytes_removed: plan.remove.iter().map(|pack| pack.length).sum(),
        packs_written: batches.len() as u64,
        bytes_written,
        bytes_left: kept + bytes_written + spared,
        bytes_unused: plan.unused,
    }
}

async fn remove<P: Platform>(core: &Core<P>, kind: FileKind, ids: &[Id]) -> Result<()> {
    let mut removed = stream::iter(ids)
        .map(|id| core.platform.remove(kind, *id))
        .buffer_unordered(REMOVERS);
    let mut done = 0;
    while let Some(result) = removed.next().await {
        result?;
        done += 1;
        core.platform
            .progress("files removed", done, ids.len() as u64);
        core.refresh_lock().await?;
    }
    Ok(())
}
