//! Checks all references: indexes, packs by their sizes, snapshots, trees.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::depth::Depth;
use super::tree_paths::TreePaths;
use super::{Findings, Severity};
use crate::core::{Core, Packs};
use crate::index::{IndexFile, IndexedPack};
use crate::pack::{BlobType, PackedBlob, pack_length};
use crate::restore::DEEPEST;
use crate::snapshot;
use crate::tree::{Node, Tree};
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
    check_keys(core, findings).await?;
    let indexed = read_indexes(core, findings).await?;
    let packs = check_packs(core, indexed, findings).await?;
    let trees = read_snapshots(core, findings).await?;
    check_trees(core, trees, findings).await?;
    Ok(packs)
}

/// The sentence of damage; only what keeps the check from going on is an error.
fn damage<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Corrupt(text) | Error::NotFound(text) | Error::Unauthenticated(text)) => {
            Ok(Err(text))
        }
        Err(error) => Err(error),
    }
}

/// Looks at the keys, of which one has opened the repository, perhaps from a copy.
async fn check_keys<P: Platform>(core: &Core<P>, findings: &mut Findings) -> Result<()> {
    let keys = core.platform.list(FileKind::Key).await?;
    if keys.is_empty() {
        findings.error("the repository has no key: nobody can open it without a copy".into());
    }
    for key in keys {
        match damage(core.platform.read(FileKind::Key, key.id).await)? {
            Ok(bytes) if core.platform.digest(&[&bytes])? == key.id => {}
            Ok(_) => findings.error(format!(
                "the key {} is damaged: its contents do not match its name",
                key.id.short()
            )),
            Err(text) => findings.error(text),
        }
    }
    Ok(())
}

async fn read_indexes<P: Platform>(
    core: &Core<P>,
    findings: &mut Findings,
) -> Result<HashMap<Id, Vec<PackedBlob>>> {
    let mut indexed: HashMap<Id, Vec<PackedBlob>> = HashMap::new();
    for listed in core.platform.list(FileKind::Index).await? {
        let loaded = core.load::<IndexFile>(FileKind::Index, listed.id).await;
        match damage(loaded)? {
            Ok(file) => indexed.extend(file.packs.into_iter().map(IndexedPack::into_blobs)),
            Err(text) => findings.error(text),
        }
    }
    Ok(indexed)
}

async fn check_packs<P: Platform>(
    core: &Core<P>,
    indexed: HashMap<Id, Vec<PackedBlob>>,
    findings: &mut Findings,
) -> Result<Vec<KnownPack>> {
    let Packs {
        mut there,
        unlisted,
    } = core.find_packs(indexed.keys().copied()).await?;
    if let Some(cause) = unlisted {
        findings.error(cause);
    }
    let mut packs = Vec::with_capacity(indexed.len());
    let mut missing = Vec::new();
    for (id, mut blobs) in indexed {
        findings.packs += 1;
        findings.blobs += blobs.len() as u64;
        blobs.sort_by_key(|blob| blob.offset);
        let length = match there.remove(&id) {
            // The listing may have lagged behind.
            None => damage(core.platform.length(FileKind::Pack, id).await)?,
            listed => Ok(listed),
        };
        let length = match length {
            Ok(length) => length,
            Err(text) => {
                findings.error(text);
                None
            }
        };
        match length {
            None => missing.push(KnownPack { id, blobs }),
            Some(length) if length != pack_length(&blobs) => findings.error(format!(
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
        findings.warning(format!(
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
            findings.warning(format!(
                "the pack {} is gone, and an index still lists it; all that was in it is in other packs",
                pack.id.short()
            ));
            continue;
        }
        findings.error(format!("the pack {} is missing", pack.id.short()));
    }
}

async fn read_snapshots<P: Platform>(core: &Core<P>, findings: &mut Findings) -> Result<TreePaths> {
    let mut tree_paths = TreePaths::default();
    for listed in core.platform.list(FileKind::Snapshot).await? {
        findings.snapshots += 1;
        let loaded = core
            .load::<snapshot::File>(FileKind::Snapshot, listed.id)
            .await;
        match damage(loaded)? {
            Ok(file) => tree_paths.root(file.tree, listed.id),
            Err(text) => findings.add(Severity::Error, text, Some(listed.id), None),
        }
    }
    Ok(tree_paths)
}

/// Looks at every tree once.
async fn check_trees<P: Platform>(
    core: &Core<P>,
    mut tree_paths: TreePaths,
    findings: &mut Findings,
) -> Result<()> {
    let roots = tree_paths.roots();
    let mut depth = Depth::default();
    let visit = |id: Id, loaded: Result<Tree>| {
        let tree = match damage(loaded)? {
            Ok(tree) => tree,
            Err(text) => {
                tree_paths.add(findings, text, id, None);
                return Ok(());
            }
        };
        for node in tree.nodes {
            let name = String::from_utf8_lossy(&node.name);
            for blob in node.content.iter().flatten() {
                if !core.index.borrow().contains(BlobType::Data, *blob) {
                    let text = format!(
                        "the blob {} of \"{name}\" in the tree {} is missing",
                        blob.short(),
                        id.short()
                    );
                    tree_paths.add(findings, text, id, Some(&node.name));
                }
            }
            let flaw = node.flaw().or_else(|| wrong_size(core, &node));
            if let Some(flaw) = flaw {
                let text = format!("\"{name}\" in the tree {}: {flaw}", id.short());
                tree_paths.add(findings, text, id, Some(&node.name));
            }
            if let Some(subtree) = node.subtree {
                depth.add(id, subtree);
                tree_paths.below(subtree, id, node.name);
            }
        }
        Ok(())
    };
    walk(core, roots, visit).await?;
    if let Some(tree) = depth.deeper_than(DEEPEST) {
        let text = format!("directories go deeper than {DEEPEST} levels, which nothing restores");
        tree_paths.add(findings, text, tree, None);
    }
    Ok(())
}

/// Whether a file has another size than it says; nothing where its blobs are not there. rustic says 0 of what it has read
/// from a pipe.
fn wrong_size<P: Platform>(core: &Core<P>, node: &Node) -> Option<String> {
    let index = core.index.borrow();
    let lengths = node.content.iter().flatten().map(|blob| {
        let found = index.find(BlobType::Data, *blob)?;
        Some(found.plain_length())
    });
    let length: u64 = lengths.sum::<Option<u64>>()?;
    (node.size != 0 && node.size != length)
        .then(|| format!("it says that it has {} bytes, and has {length}", node.size))
}

/// Names the files whose contents are in these blobs, which are damaged.
pub(super) async fn name_files<P: Platform>(
    core: &Rc<Core<P>>,
    damaged: &HashSet<Id>,
    findings: &mut Findings,
) -> Result<()> {
    let mut unheard = Findings::default();
    let mut tree_paths = read_snapshots(core, &mut unheard).await?;
    let roots = tree_paths.roots();
    let visit = |id: Id, loaded: Result<Tree>| {
        let Ok(tree) = damage(loaded)? else {
            return Ok(());
        };
        for node in tree.nodes {
            let mut blobs = node.content.iter().flatten();
            if let Some(blob) = blobs.find(|blob| damaged.contains(blob)) {
                let text = format!(
                    "a file cannot be restored: its blob {} is damaged",
                    blob.short()
                );
                tree_paths.add(findings, text, id, Some(&node.name));
            }
            if let Some(subtree) = node.subtree {
                tree_paths.below(subtree, id, node.name);
            }
        }
        Ok(())
    };
    walk(core, roots, visit).await
}
