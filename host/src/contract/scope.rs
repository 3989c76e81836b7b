//! What was asked for of a snapshot, and whether an entry belongs to it.

use super::{Batch, EntryKind, Invalid, Selection};

/// Validates the entries of a snapshot against the selection.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The selected paths, as names from the top. Empty if everything is selected.
    selected: Vec<Vec<Vec<u8>>>,
    /// The number of levels below them.
    levels: usize,
    /// The open directories, the outermost first: their numbers and names.
    open: Vec<(u64, Vec<u8>)>,
}

impl Scope {
    /// The scope of this selection.
    pub(crate) fn of(selection: &Selection) -> Self {
        let names = |path: &Vec<u8>| -> Vec<Vec<u8>> {
            let names = path.split(|byte| *byte == b'/');
            names
                .filter(|name| !name.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        };
        let paths = selection.paths.iter().flatten();
        Self {
            selected: paths.map(names).collect(),
            levels: selection
                .levels
                .map_or(usize::MAX, |levels| levels as usize),
            open: Vec::new(),
        }
    }

    /// Refuses a batch with an entry that is neither selected nor above a selected one.
    pub(crate) fn check(&mut self, batch: &Batch) -> Result<(), Invalid> {
        for entry in batch.iter() {
            while self.open.pop_if(|(id, _)| *id != entry.parent).is_some() {}
            let is_directory = matches!(entry.kind, EntryKind::Directory);
            let name = entry.name.as_bytes();
            if !self.holds(name, is_directory) {
                return Err(Invalid::new(format!(
                    "entry {} ({}) was not selected",
                    entry.id, entry.name
                )));
            }
            if is_directory {
                self.open.push((entry.id, name.to_vec()));
            }
        }
        Ok(())
    }

    /// Whether something of this name in the innermost open directory was asked for.
    fn holds(&self, name: &[u8], is_directory: bool) -> bool {
        let depth = self.open.len() + 1;
        if self.selected.is_empty() {
            return depth <= self.levels;
        }
        self.selected.iter().any(|selected| {
            let open = self.open.iter().map(|(_, name)| name.as_slice());
            let path = open.chain([name]);
            let common = path
                .zip(selected)
                .take_while(|(one, other)| one == other)
                .count();
            let is_below = common == selected.len() && depth - common <= self.levels;
            let is_above = common == depth && is_directory;
            is_below || is_above
        })
    }
}

#[cfg(test)]
mod tests {
    use vec1::Vec1;

    use super::*;
    use crate::contract::{Sequence, SnapshotId, entry};

    /// How many of these entries a reader may give: `/a`, `/a/b`, `/a/b/c`, `/a/d`, `/e`, where `a` and `b` are
    /// directories.
    fn admitted(paths: &[&str], levels: Option<u32>) -> Vec<u64> {
        let selection = Selection {
            snapshot: SnapshotId::new("0").expect("it is one"),
            paths: Vec1::try_from_vec(paths.iter().map(|path| path.as_bytes().to_vec()).collect())
                .ok(),
            levels,
            skip_damaged: false,
        };
        let file = || EntryKind::File(None);
        let all = [
            entry(1, 0, "a", EntryKind::Directory),
            entry(2, 1, "b", EntryKind::Directory),
            entry(3, 2, "c", file()),
            entry(4, 1, "d", file()),
            entry(5, 0, "e", file()),
        ];
        let mut sequence = Sequence::default();
        let mut scope = Scope::of(&selection);
        let mut admitted = Vec::new();
        for entry in all {
            let id = entry.id;
            let batch = sequence.admit(vec![entry]).expect("it is a tree");
            if scope.check(&batch).is_ok() {
                admitted.push(id);
            } else if id == 2 {
                // What is below it is measured by its place all the same.
                scope.open.push((2, b"b".to_vec()));
            }
        }
        admitted
    }

    #[test]
    fn what_was_not_selected_is_refused() {
        for (paths, levels, expected) in [
            (&[][..], None, &[1, 2, 3, 4, 5][..]),
            (&["/"], None, &[1, 2, 3, 4, 5]),
            (&["/a"], None, &[1, 2, 3, 4]),
            (&["/a/b"], None, &[1, 2, 3]),
            (&["/a/d", "/e"], None, &[1, 4, 5]),
            (&["/a/b/c/d"], None, &[1, 2]),
            (&[], Some(1), &[1, 5]),
            (&["/a"], Some(0), &[1]),
            (&["/a"], Some(1), &[1, 2, 4]),
            (&["/a", "/a/b"], Some(1), &[1, 2, 3, 4]),
        ] {
            assert_eq!(admitted(paths, levels), expected, "{paths:?} {levels:?}");
        }
    }
}
