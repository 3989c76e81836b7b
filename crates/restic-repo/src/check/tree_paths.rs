//! The snapshot and the path of each tree.

use std::collections::HashMap;

use super::{Findings, Severity};
use crate::Id;

/// One position of each tree.
#[derive(Default)]
pub(super) struct TreePaths(HashMap<Id, Position>);

enum Position {
    /// It is the root of this snapshot.
    Root(Id),
    /// It is in that tree under this name.
    Below(Id, Vec<u8>),
}

impl TreePaths {
    /// The tree is the root of this snapshot.
    pub(super) fn root(&mut self, tree: Id, snapshot: Id) {
        self.0.insert(tree, Position::Root(snapshot));
    }

    /// The tree is in another one under this name.
    pub(super) fn below(&mut self, tree: Id, above: Id, name: Vec<u8>) {
        // The first position came from a root. Later ones may come from below the tree itself.
        self.0.entry(tree).or_insert(Position::Below(above, name));
    }

    /// The roots of all snapshots.
    pub(super) fn roots(&self) -> Vec<Id> {
        self.0.keys().copied().collect()
    }

    /// Adds damage in a tree, or in something of this name in it.
    pub(super) fn add(
        &self,
        findings: &mut Findings,
        what: String,
        tree: Id,
        name: Option<&Vec<u8>>,
    ) {
        let mut names: Vec<&[u8]> = name.into_iter().map(Vec::as_slice).collect();
        let mut tree = tree;
        let snapshot = loop {
            match self.0.get(&tree) {
                Some(Position::Below(above, name)) => {
                    names.push(name);
                    tree = *above;
                }
                Some(Position::Root(snapshot)) => break Some(*snapshot),
                None => break None,
            }
        };
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        let path = (!path.is_empty()).then_some(path);
        findings.add(Severity::Error, what, snapshot, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_has_the_snapshot_and_the_path_where_it_was_first_met() {
        let id = |byte| Id([byte; 32]);
        let mut tree_paths = TreePaths::default();
        tree_paths.root(id(1), id(100));
        tree_paths.below(id(2), id(1), b"a".to_vec());
        tree_paths.below(id(3), id(2), b"b".to_vec());
        // A tree cannot hold itself, but somebody may say so.
        tree_paths.below(id(1), id(3), b"loop".to_vec());
        let mut findings = Findings::default();
        tree_paths.add(&mut findings, "it".into(), id(3), Some(&b"c".to_vec()));
        tree_paths.add(&mut findings, "it".into(), id(9), None);
        let found: Vec<_> = findings
            .findings
            .into_iter()
            .map(|finding| (finding.snapshot, finding.path))
            .collect();
        let path = b"/a/b/c".to_vec();
        assert_eq!(found, [(Some(id(100)), Some(path)), (None, None)]);
    }
}
