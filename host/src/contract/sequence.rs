//! Entries that are a tree together: numbers that count on, parents that are open directories,
//! children in byte order.

use std::ops::Deref;
use std::sync::Arc;

use super::entry::{Entry, EntryKind, Invalid, Name};

/// Deeper trees are refused; no file system has paths of that many components.
const DEEPEST: usize = 4096;

/// A longer path is refused, in bytes: whoever takes a tree keeps the path of each directory on the way.
const LONGEST: usize = 64 << 10;

/// Entries that follow each other in a tree. Only a [`Sequence`] makes one, so that whoever takes
/// a batch takes a part of a tree. Clones share the entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch(Arc<[Entry]>);

impl Deref for Batch {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.0
    }
}

/// Validates a tree from its first entry to its last.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    last: u64,
    /// The last child of the root.
    root: Option<Name>,
    /// The directories that are still open.
    open: Vec<OpenDirectory>,
}

#[derive(Debug)]
struct OpenDirectory {
    id: u64,
    last_child: Option<Name>,
    /// The bytes of its path.
    length: usize,
}

impl Sequence {
    /// Validates the next entries of the tree. The error names the first invalid one.
    pub(crate) fn admit(&mut self, entries: Vec<Entry>) -> Result<Batch, Invalid> {
        entries.iter().try_for_each(|entry| self.follow(entry))?;
        Ok(Batch(entries.into()))
    }

    fn follow(&mut self, entry: &Entry) -> Result<(), Invalid> {
        let Entry {
            id, parent, name, ..
        } = entry;
        let refuse = |why: String| Err(Invalid::new(format!("entry {id} ({name}) {why}")));
        if self.last.checked_add(1) != Some(*id) {
            return refuse(format!("comes after entry {}", self.last));
        }
        while self
            .open
            .pop_if(|directory| directory.id != *parent)
            .is_some()
        {}
        let (before, above) = match self.open.last_mut() {
            Some(directory) => (&mut directory.last_child, directory.length),
            None if *parent == 0 => (&mut self.root, 0),
            None => return refuse(format!("is in {parent}, which is not an open directory")),
        };
        if before.as_ref().is_some_and(|before| before >= name) {
            return refuse("is out of order".into());
        }
        let length = above + 1 + name.as_bytes().len();
        if length > LONGEST {
            return refuse(format!("has a path of more than {LONGEST} bytes"));
        }
        *before = Some(name.clone());
        let is_directory = matches!(entry.kind, EntryKind::Directory);
        if entry.subtree.is_some() && !is_directory {
            return refuse("is not a directory, and names a subtree".into());
        }
        if is_directory {
            if self.open.len() >= DEEPEST {
                return refuse(format!("is deeper than {DEEPEST} directories"));
            }
            self.open.push(OpenDirectory {
                id: *id,
                last_child: None,
                length,
            });
        }
        self.last = *id;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::contract::{Instant, Metadata, OwnerId, Permissions};

    /// An entry of root's from 1970.
    pub(crate) fn entry(id: u64, parent: u64, name: &str, kind: EntryKind) -> Entry {
        let metadata = Metadata {
            permissions: Permissions::new(0o600).expect("they are permissions"),
            uid: OwnerId::ROOT,
            gid: OwnerId::ROOT,
            user: None,
            group: None,
            modified: Instant::EPOCH,
            accessed: None,
            changed: None,
            device: 0,
            inode: 0,
            links: 1,
            xattrs: Vec::new(),
        };
        Entry {
            id,
            parent,
            name: Name::new(name).expect(name),
            kind,
            metadata,
            subtree: None,
        }
    }

    /// A whole tree in one batch.
    fn batch(entries: &[(u64, u64, &str, EntryKind)]) -> Result<Batch, Invalid> {
        let entries = entries.iter();
        let entries =
            entries.map(|(id, parent, name, kind)| entry(*id, *parent, name, kind.clone()));
        Sequence::default().admit(entries.collect())
    }

    #[test]
    fn a_tree_in_order_is_admitted() {
        let file = EntryKind::File(None);
        batch(&[
            (1, 0, "a", EntryKind::Directory),
            (2, 1, "b", EntryKind::Directory),
            (3, 2, "z", file.clone()),
            (4, 1, "c", file.clone()),
            (5, 0, "b", file),
        ])
        .expect("it is a tree");
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let file = || EntryKind::File(None);
        let directory = || EntryKind::Directory;
        for (entries, complaint) in [
            (vec![(2, 0, "a", file())], "comes after"),
            (
                vec![(1, 0, "a", file()), (1, 0, "b", file())],
                "comes after",
            ),
            (
                vec![(1, 0, "b", file()), (2, 0, "a", file())],
                "out of order",
            ),
            (
                vec![(1, 0, "a", file()), (2, 0, "a", file())],
                "out of order",
            ),
            (
                vec![(1, 0, "a", file()), (2, 1, "b", file())],
                "not an open directory",
            ),
            (vec![(1, 1, "a", directory())], "not an open directory"),
            (
                vec![
                    (1, 0, "a", directory()),
                    (2, 0, "b", file()),
                    (3, 1, "c", file()),
                ],
                "not an open directory",
            ),
        ] {
            let refusal = batch(&entries).expect_err("it is not a tree").to_string();
            assert!(refusal.contains(complaint), "{refusal}");
        }
    }

    #[test]
    fn a_path_has_an_end() {
        let name = "x".repeat(1000);
        let mut sequence = Sequence::default();
        let mut below = |id: u64| {
            let entry = entry(id, id - 1, &name, EntryKind::Directory);
            sequence.admit(vec![entry])
        };
        for id in 1..=65 {
            below(id).expect("it is not long");
        }
        let refusal = below(66).expect_err("it is too long").to_string();
        assert!(
            refusal.ends_with("has a path of more than 65536 bytes"),
            "{refusal}"
        );
    }

    #[test]
    fn a_refused_entry_ends_the_batch_and_the_order_holds_over_batches() {
        let mut sequence = Sequence::default();
        let file = || EntryKind::File(None);
        sequence
            .admit(vec![entry(1, 0, "b", file())])
            .expect("it is the first");
        sequence
            .admit(vec![entry(2, 0, "a", file())])
            .expect_err("it comes before");
        sequence
            .admit(vec![entry(2, 0, "c", file())])
            .expect("it comes after");
    }
}
