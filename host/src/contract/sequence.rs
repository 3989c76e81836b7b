//! Whether what a plugin gives is a tree: numbers that count on, parents that are open
//! directories, names that are names, children in byte order.

use crate::plugin::bindings::types::{Entry, Kind};

/// Deeper trees are refused; no file system has paths of that many components.
const DEEPEST: usize = 4096;

/// Follows a tree and refuses what does not belong there.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: u64,
    /// The last child of the top.
    top: Option<Vec<u8>>,
    /// The directories that are still open: their numbers, and their last child.
    open: Vec<(u64, Option<Vec<u8>>)>,
}

impl Order {
    /// Takes the next entry, or says what is wrong with it.
    pub(super) fn admit(&mut self, entry: &Entry) -> Result<(), String> {
        let Entry {
            id, parent, name, ..
        } = entry;
        let shown = String::from_utf8_lossy(name).escape_debug().to_string();
        if *id != self.last + 1 {
            return Err(format!(
                "entry {id} ({shown}) comes after entry {}",
                self.last
            ));
        }
        if name.is_empty()
            || name.contains(&b'/')
            || name.contains(&0)
            || name == b"."
            || name == b".."
        {
            return Err(format!(
                "entry {id} has the name \"{shown}\", which is none"
            ));
        }
        while self.open.last().is_some_and(|(number, _)| number != parent) {
            self.open.pop();
        }
        let before = match self.open.last_mut() {
            Some((_, before)) => before,
            None if *parent == 0 => &mut self.top,
            None => {
                return Err(format!(
                    "entry {id} ({shown}) is in {parent}, which is no open directory"
                ));
            }
        };
        if before.as_ref().is_some_and(|before| before >= name) {
            return Err(format!("entry {id} ({shown}) is out of order"));
        }
        *before = Some(name.clone());
        if matches!(entry.kind, Kind::Directory) {
            if self.open.len() >= DEEPEST {
                return Err(format!(
                    "entry {id} ({shown}) is deeper than {DEEPEST} directories"
                ));
            }
            self.open.push((*id, None));
        }
        self.last = *id;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::bindings::types::{Instant, Metadata};

    fn entry(id: u64, parent: u64, name: &str, kind: Kind) -> Entry {
        let modified = Instant {
            seconds: 0,
            nanoseconds: 0,
        };
        let metadata = Metadata {
            mode: 0o600,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            modified,
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
            name: name.into(),
            kind,
            metadata,
        }
    }

    fn admit(entries: &[(u64, u64, &str, Kind)]) -> Result<(), String> {
        let mut order = Order::default();
        entries.iter().try_for_each(|(id, parent, name, kind)| {
            order.admit(&entry(*id, *parent, name, kind.clone()))
        })
    }

    #[test]
    fn a_tree_in_order_is_admitted() {
        let file = Kind::File(None);
        admit(&[
            (1, 0, "a", Kind::Directory),
            (2, 1, "b", Kind::Directory),
            (3, 2, "z", file.clone()),
            (4, 1, "c", file.clone()),
            (5, 0, "b", file),
        ])
        .expect("it is a tree");
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let file = || Kind::File(None);
        for (entries, complaint) in [
            (vec![(2, 0, "a", file())], "comes after"),
            (vec![(1, 0, "..", file())], "which is none"),
            (vec![(1, 0, "a/b", file())], "which is none"),
            (vec![(1, 0, "", file())], "which is none"),
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
                "no open directory",
            ),
            (
                vec![
                    (1, 0, "a", Kind::Directory),
                    (2, 0, "b", file()),
                    (3, 1, "c", file()),
                ],
                "no open directory",
            ),
        ] {
            let refusal = admit(&entries).expect_err("it is no tree");
            assert!(refusal.contains(complaint), "{refusal}");
        }
    }
}
