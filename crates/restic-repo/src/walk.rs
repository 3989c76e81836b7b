//! Walks all trees below some roots, each once.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};

use crate::core::Core;
use crate::tree::Tree;
use crate::{Id, Platform, Result};

/// Trees that are read at a time.
const READERS: usize = 8;

/// Shows every tree that there is at or below these, whole or with what keeps it from being read,
/// until one of them is not to be borne.
pub(crate) async fn walk<P: Platform>(
    core: &Core<P>,
    top: impl IntoIterator<Item = Id>,
    mut visit: impl FnMut(Id, Result<Tree>) -> Result<()>,
) -> Result<()> {
    let mut seen: HashSet<Id> = HashSet::new();
    let mut next: Vec<Id> = top.into_iter().filter(|id| seen.insert(*id)).collect();
    let mut done = 0;
    while !next.is_empty() {
        let mut loading = stream::iter(std::mem::take(&mut next))
            .map(async |id| (id, Box::pin(core.load_tree(id)).await))
            .buffer_unordered(READERS);
        while let Some((id, loaded)) = loading.next().await {
            done += 1;
            core.platform.progress("trees", done, seen.len() as u64);
            core.refresh_lock().await?;
            let below = loaded.iter().flat_map(|tree| &tree.nodes);
            next.extend(
                below
                    .filter_map(|node| node.subtree)
                    .filter(|subtree| seen.insert(*subtree)),
            );
            visit(id, loaded)?;
        }
    }
    Ok(())
}
