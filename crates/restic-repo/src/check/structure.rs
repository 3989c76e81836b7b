//! The check of what refers to what: indexes, packs by their sizes, snapshots, trees.

use std::collections::HashMap;
use std::rc::Rc;

use super::Findings;
use crate::core::Core;
use crate::index::IndexFile;
use crate::pack::{BlobType, PackedBlob, pack_length};
use crate::snapshot;
use crate::tree::Tree;
use crate::walk::walk;
use crate::{Error, FileKind, Id, Platform, Result};

/// A pack that is there and that an index lists.
pub(super) struct KnownPack {
    pub(super) id: Id,
    pub(super) blobs: Vec<PackedBlob>,
}

/// Checks the structure and answers the packs that it rests on.
pub(super) async fn check<P: Platform>(
    core: &Rc<Core<P>>,
    findings: &mut Findings,
) -> Result<Vec<KnownPack>> {
    let indexed = read_indexes(core, findings).await?;
    let packs = check_packs(core, indexed, findings).await?;
    let trees = read_snapshots(core, findings).await?;
    check_trees(core, trees, findings).await?;
    Ok(packs)
}

/// Takes damage into the findings; only what keeps the check from going on is an error.
fn damage<T>(result: Result<T>, findings: &mut Findings) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Corrupt(text) | Error::NotFound(text) | Error::Unauthenticated(text)) => {
            findings.errors.push(text);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn read_indexes<P: Platform>(
    core: &Core<P>,
    findings: &mut Findings,
) -> Result<HashMap<Id, Vec<PackedBlob>>> {
    let mut indexed: HashMap<Id, Vec<PackedBlob>> = HashMap::new();
    for listed in core.platform.list(FileKind::Index).await? {
        let loaded = core.load::<IndexFile>(FileKind::Index, listed.id).await;
        for pack in damage(loaded, findings)?
            .into_iter()
            .flat_map(|file| file.packs)
        {
            let (id, blobs) = pack.into_blobs();
            indexed.insert(id, blobs);
        }
    }
    Ok(indexed)
}

async fn check_packs<P: Platform>(
    core: &Core<P>,
    indexed: HashMap<Id, Vec<PackedBlob>>,
    findings: &mut Findings,
) -> Result<Vec<KnownPack>> {
    let mut there: HashMap<Id, u64> = core
        .platform
        .list(FileKind::Pack)
        .await?
        .into_iter()
        .map(|pack| (pack.id, pack.length))
        .collect();
    let mut packs = Vec::with_capacity(indexed.len());
    let mut missing = Vec::new();
    for (id, mut blobs) in indexed {
        findings.packs += 1;
        findings.blobs += blobs.len() as u64;
        blobs.sort_by_key(|blob| blob.offset);
        let length = match there.remove(&id) {
            // The listing may have lagged behind.
            None => core.platform.length(FileKind::Pack, id).await?,
            listed => listed,
        };
        match length {
            None => missing.push(KnownPack { id, blobs }),
            Some(length) if length != pack_length(&blobs) => findings.errors.push(format!(
                "the pack {} has {length} bytes, and the index says {}",
                id.short(),
                pack_length(&blobs)
            )),
            Some(_) => packs.push(KnownPack { id, blobs }),
        }
    }
    fill_index(core, &packs, &missing, findings);
    let mut unknown: Vec<_> = there.into_keys().collect();
    unknown.sort();
    for id in unknown {
        findings.warnings.push(format!(
            "the pack {} is in no index; an interrupted backup may have left it",
            id.short()
        ));
    }
    packs.sort_by_key(|pack| pack.id);
    Ok(packs)
}

/// Lets the index know where blobs are. What is in packs that are missing may be in others too.
fn fill_index<P: Platform>(
    core: &Core<P>,
    packs: &[KnownPack],
    missing: &[KnownPack],
    findings: &mut Findings,
) {
    let mut index = core.index.borrow_mut();
    for pack in packs {
        index.add(pack.id, &pack.blobs);
    }
    for pack in missing {
        let is_elsewhere = |blob: &PackedBlob| {
            index
                .find(blob.blob_type, blob.id)
                .is_some_and(|found| found.pack != pack.id)
        };
        if pack.blobs.iter().all(is_elsewhere) {
            findings.warnings.push(format!(
                "the pack {} is gone, and an index still lists it; all that was in it is in other packs",
                pack.id.short()
            ));
            continue;
        }
        findings
            .errors
            .push(format!("the pack {} is missing", pack.id.short()));
        let lost: Vec<_> = pack
            .blobs
            .iter()
            .filter(|blob| !is_elsewhere(blob))
            .copied()
            .collect();
        index.add(pack.id, &lost);
    }
}

async fn read_snapshots<P: Platform>(core: &Core<P>, findings: &mut Findings) -> Result<Vec<Id>> {
    let mut trees = Vec::new();
    for listed in core.platform.list(FileKind::Snapshot).await? {
        findings.snapshots += 1;
        let loaded = core
            .load::<snapshot::File>(FileKind::Snapshot, listed.id)
            .await;
        trees.extend(damage(loaded, findings)?.map(|file| file.tree));
    }
    Ok(trees)
}

/// Looks at every tree once.
async fn check_trees<P: Platform>(
    core: &Core<P>,
    top: Vec<Id>,
    findings: &mut Findings,
) -> Result<()> {
    let visit = |id: Id, loaded: Result<Tree>| {
        let Some(tree) = damage(loaded, findings)? else {
            return Ok(());
        };
        let nodes = tree.nodes.iter();
        for (node, name) in nodes.map(|node| (node, String::from_utf8_lossy(&node.name))) {
            for blob in node.content.iter().flatten() {
                if !core.index.borrow().contains(BlobType::Data, *blob) {
                    findings.errors.push(format!(
                        "the blob {} of \"{name}\" in the tree {} is missing",
                        blob.short(),
                        id.short()
                    ));
                }
            }
            if node.is_directory() && node.subtree.is_none() {
                findings.errors.push(format!(
                    "the directory \"{name}\" in the tree {} has no tree",
                    id.short()
                ));
            }
        }
        Ok(())
    };
    walk(core, top, visit).await
}
