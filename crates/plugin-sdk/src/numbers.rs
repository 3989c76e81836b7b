//! Assigns numbers to entries by their paths, and default metadata to entries without any.

use std::time::SystemTime;

use crate::bindings::tthost::backup::types::Caller;
use crate::tree::{Entry, Instant, Kind, Metadata, Node};
use crate::{Error, Result};

/// The owner of entries without metadata.
#[derive(Default)]
pub(crate) struct Owner {
    uid: u32,
    gid: u32,
    user: Option<String>,
    now: Option<Instant>,
}

impl From<&Caller> for Owner {
    fn from(caller: &Caller) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            uid: caller.user_id,
            gid: caller.group_id,
            user: Some(caller.username.clone()),
            now: Some(Instant {
                seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: now.subsec_nanos(),
            }),
        }
    }
}

impl Owner {
    fn metadata(&self, kind: &Kind) -> Metadata {
        let mode = match kind {
            Kind::Directory => 0o700,
            _ => 0o600,
        };
        Metadata {
            mode,
            uid: self.uid,
            gid: self.gid,
            user: self.user.clone(),
            group: None,
            modified: self.now.unwrap_or(Instant {
                seconds: 0,
                nanoseconds: 0,
            }),
            accessed: None,
            changed: None,
            device: 0,
            inode: 0,
            links: 1,
            xattrs: Vec::new(),
        }
    }
}

/// Assigns numbers to entries.
#[derive(Default)]
pub(crate) struct Numbers {
    last: u64,
    /// The open directories: their numbers, the lengths of their paths, and the last name in each.
    open: Vec<(u64, usize, Vec<u8>)>,
    /// The path of the innermost one.
    path: Vec<u8>,
    /// The last name at the top.
    top: Vec<u8>,
}

impl Numbers {
    /// The entry, its path, and the handle of its contents.
    pub(crate) fn number<F>(
        &mut self,
        node: Node<F>,
        owner: &Owner,
    ) -> Result<(Entry, Vec<u8>, Option<F>)> {
        let shown = || String::from_utf8_lossy(&node.path).into_owned();
        let slash = node.path.iter().rposition(|byte| *byte == b'/');
        let Some(slash) = slash.filter(|_| node.path[0] == b'/') else {
            let text = format!("the path {} does not begin with a /", shown());
            return Err(Error::Other(text));
        };
        let (above, name) = (&node.path[..slash], &node.path[slash + 1..]);
        while self.path != above {
            let Some(_) = self.open.pop() else {
                let text = format!("{} comes without its directory", shown());
                return Err(Error::Other(text));
            };
            let length = self.open.last().map_or(0, |(_, length, _)| *length);
            self.path.truncate(length);
        }
        let before = match self.open.last_mut() {
            Some((_, _, before)) => before,
            None => &mut self.top,
        };
        if !before.is_empty() && name <= &before[..] {
            let text = if name == before {
                format!("{} comes twice", shown())
            } else {
                let before = String::from_utf8_lossy(before);
                let above = String::from_utf8_lossy(above);
                format!("{} comes behind {above}/{before}", shown())
            };
            return Err(Error::Other(text));
        }
        before.clear();
        before.extend_from_slice(name);
        self.last += 1;
        let parent = self.open.last().map_or(0, |(id, _, _)| *id);
        let name = name.to_vec();
        if matches!(node.kind, Kind::Directory) {
            self.open.push((self.last, node.path.len(), Vec::new()));
            self.path.clone_from(&node.path);
        }
        let metadata = node.metadata.unwrap_or_else(|| owner.metadata(&node.kind));
        let entry = Entry {
            id: self.last,
            parent,
            name,
            kind: node.kind,
            metadata,
            subtree: node.subtree,
        };
        Ok((entry, node.path, node.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Paths;

    fn number(nodes: &[(&str, bool)]) -> std::result::Result<Vec<(u64, u64, String)>, String> {
        let mut numbers = Numbers::default();
        let owner = Owner::default();
        let entries = nodes.iter().map(|(path, is_directory)| {
            let node = if *is_directory {
                Node::directory(*path)
            } else {
                Node::file(*path, None, ())
            };
            let (entry, ..) = numbers
                .number(node, &owner)
                .map_err(|error| error.to_string())?;
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            Ok((entry.id, entry.parent, name))
        });
        entries.collect()
    }

    #[test]
    fn entries_are_numbered_by_their_paths() {
        let nodes = [
            ("/a", true),
            ("/a/b", true),
            ("/a/b/c", false),
            ("/a/d", false),
            ("/e", false),
        ];
        let entries = number(&nodes).expect("it is a tree");
        let parents: Vec<_> = entries
            .iter()
            .map(|(id, parent, _)| (*id, *parent))
            .collect();
        assert_eq!(parents, [(1, 0), (2, 1), (3, 2), (4, 1), (5, 0)]);
        assert_eq!(entries[3].2, "d");

        // The writer's side finds the same paths.
        let mut paths = Paths::default();
        let mut numbers = Numbers::default();
        for (path, is_directory) in nodes {
            let node = if is_directory {
                Node::<()>::directory(path)
            } else {
                Node::file(path, None, ())
            };
            let (entry, ..) = numbers.number(node, &Owner::default()).expect("a tree");
            assert_eq!(paths.enter(&entry), path.as_bytes());
        }
    }

    #[test]
    fn what_is_no_tree_is_refused_with_the_path_at_fault() {
        for (nodes, fault) in [
            (&[("a", false)][..], "a does not begin with a /"),
            (&[("/a/b", false)], "/a/b comes without its directory"),
            (
                &[("/a", false), ("/a/b", false)],
                "/a/b comes without its directory",
            ),
            (&[("/b", false), ("/a", false)], "/a comes behind /b"),
            (&[("/a", false), ("/a", false)], "/a comes twice"),
            (
                &[("/a", true), ("/b", false), ("/a/c", false)],
                "/a/c comes without its directory",
            ),
        ] {
            let error = number(nodes).expect_err("it is none");
            assert!(error.contains(fault), "{error}");
        }
    }
}
