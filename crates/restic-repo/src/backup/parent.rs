//! The parent snapshot: files that have not changed since are not read again.

use std::collections::HashMap;
use std::rc::Rc;

use super::Draft;
use super::writer::INCOMPLETE;
use crate::core::Core;
use crate::pack::BlobType;
use crate::snapshot::Snapshot;
use crate::tree::Node;
use crate::{Entry, Error, Id, Platform, Result};

/// Looks up the entries of a tree, as they come, in the tree of an earlier snapshot.
pub(super) struct Parent<P: Platform> {
    core: Rc<Core<P>>,
    /// The snapshot; none where there is nothing to follow.
    id: Option<Id>,
    /// Where the walk is, the top first.
    open: Vec<Directory>,
}

/// What the parent has in a directory; nothing where it has no such directory.
struct Directory {
    id: u64,
    nodes: HashMap<Vec<u8>, Node>,
}

impl<P: Platform> Parent<P> {
    /// The latest of these snapshots, the oldest first, that the draft goes on: of the same host,
    /// paths and tags, and not from the future.
    pub(super) async fn choose(
        core: Rc<Core<P>>,
        draft: &Draft,
        snapshots: &[Snapshot],
    ) -> Result<Self> {
        let chosen = snapshots.iter().rev().find(|snapshot| {
            snapshot.time <= draft.time
                && snapshot.hostname == draft.hostname
                && sorted(&snapshot.paths) == sorted(&draft.paths)
                && sorted(complete(&snapshot.tags)) == sorted(&draft.tags)
        });
        let mut parent = Self {
            core,
            id: chosen.map(|snapshot| snapshot.id),
            open: Vec::new(),
        };
        let nodes = parent.nodes(chosen.map(|snapshot| snapshot.tree)).await?;
        parent.open.push(Directory { id: 0, nodes });
        Ok(parent)
    }

    pub(super) fn id(&self) -> Option<Id> {
        self.id
    }

    /// What the parent has in the place of this entry, the next one of the tree.
    pub(super) async fn node(&mut self, entry: &Entry) -> Result<Option<Node>> {
        while self
            .open
            .pop_if(|directory| directory.id != entry.parent && directory.id != 0)
            .is_some()
        {}
        let directory = self.open.last_mut();
        let node = directory.and_then(|directory| directory.nodes.remove(&entry.name));
        if matches!(entry.kind, crate::Kind::Directory) {
            let tree = node.as_ref().and_then(|node| node.subtree);
            let nodes = self.nodes(tree).await?;
            self.open.push(Directory {
                id: entry.id,
                nodes,
            });
        }
        Ok(node)
    }

    /// Whether the contents of a file of the parent are all in the repository.
    pub(super) fn has_contents(&self, node: &Node) -> bool {
        node.content.as_ref().is_some_and(|blobs| {
            blobs
                .iter()
                .all(|blob| self.core.locate(BlobType::Data, *blob).is_ok())
        })
    }

    async fn nodes(&self, tree: Option<Id>) -> Result<HashMap<Vec<u8>, Node>> {
        let Some(tree) = tree else {
            return Ok(HashMap::new());
        };
        match Box::pin(self.core.load_tree(tree)).await {
            Ok(tree) => Ok(tree
                .nodes
                .into_iter()
                .map(|node| (node.name.clone(), node))
                .collect()),
            // What is damaged there is read again here, and stored again, which mends it.
            Err(Error::Corrupt(_) | Error::NotFound(_)) => {
                self.core.index.borrow_mut().doubt_trees();
                Ok(HashMap::new())
            }
            Err(error) => Err(error),
        }
    }
}

/// The tags that a snapshot would have if nothing were missing in it.
fn complete(tags: &[String]) -> impl IntoIterator<Item = &String> {
    tags.iter().filter(|tag| *tag != INCOMPLETE)
}

fn sorted<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut sorted: Vec<_> = texts.into_iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted
}
