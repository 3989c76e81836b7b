//! Trees for tests. Their contents are generated on demand, so that no size is too large.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Entry, Instant, Kind, Metadata};

/// Contents that are made up: the same bytes for the same seed, and none of them like those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Zeros where it is 0.
    pub seed: u64,
    /// The number of bytes.
    pub length: u64,
}

impl Body {
    /// The bytes from one place on, at most so many.
    pub fn bytes(&self, offset: u64, most: usize) -> Vec<u8> {
        let left = self.length.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        if self.seed == 0 {
            return vec![0; length];
        }
        let mut bytes = Vec::with_capacity(length + 16);
        let mut word = offset / 8;
        let skipped = usize::try_from(offset % 8).expect("it is below 8");
        while bytes.len() < length + skipped {
            bytes.extend_from_slice(&mix(self.seed, word).to_le_bytes());
            word += 1;
        }
        bytes.drain(..skipped);
        bytes.truncate(length);
        bytes
    }

    /// All of them.
    pub fn whole(&self) -> Vec<u8> {
        self.bytes(0, usize::MAX)
    }
}

/// `SplitMix64`
fn mix(seed: u64, word: u64) -> u64 {
    let mut mixed = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(word.wrapping_mul(0xd1b5_4a32_d192_ed03));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Something in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    name: Vec<u8>,
    what: What,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug)]
enum What {
    File(Body),
    Directory(Vec<Node>),
    Other(Kind),
}

/// A usual time.
const NOON: Instant = Instant {
    seconds: 1_600_000_000,
    nanoseconds: 123_456_789,
};

impl Node {
    fn new(name: impl Into<Vec<u8>>, mode: u32, what: What) -> Self {
        Self {
            name: name.into(),
            what,
            metadata: Metadata {
                mode,
                uid: 1000,
                gid: 1000,
                user: Some("ada".into()),
                group: Some("ada".into()),
                modified: NOON,
                accessed: Some(NOON),
                changed: Some(NOON),
                device: 0,
                inode: 0,
                links: 1,
                xattrs: Vec::new(),
            },
        }
    }

    /// A file that was changed when its contents were: others have another time.
    pub(crate) fn file(name: impl Into<Vec<u8>>, body: Body) -> Self {
        let seconds = body.seed.cast_signed();
        Self::new(name, 0o644, What::File(body))
            .with(|metadata| metadata.modified.seconds += seconds)
    }

    pub(crate) fn directory(name: impl Into<Vec<u8>>, children: Vec<Self>) -> Self {
        Self::new(name, 0o755, What::Directory(children))
    }

    pub(crate) fn other(name: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self::new(name, 0o777, What::Other(kind))
    }

    /// The same with other metadata.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Metadata)) -> Self {
        change(&mut self.metadata);
        self
    }
}

/// A tree with its contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// In the contract's order.
    pub(crate) entries: Vec<Entry>,
    /// The contents of files by their numbers.
    pub(crate) bodies: BTreeMap<u64, Body>,
}

impl Tree {
    pub(crate) fn of(nodes: Vec<Node>) -> Self {
        let mut tree = Self::default();
        tree.add(nodes, 0);
        tree
    }

    fn add(&mut self, mut nodes: Vec<Node>, parent: u64) {
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        for node in nodes {
            let id = self.entries.len() as u64 + 1;
            let (kind, children) = match node.what {
                What::File(body) => {
                    self.bodies.insert(id, body);
                    (Kind::File(Some(body.length)), Vec::new())
                }
                What::Directory(children) => (Kind::Directory, children),
                What::Other(kind) => (kind, Vec::new()),
            };
            self.entries.push(Entry {
                id,
                parent,
                name: node.name,
                kind,
                metadata: node.metadata,
                subtree: None,
            });
            self.add(children, id);
        }
    }

    /// The entry at this path.
    pub(crate) fn find(&self, path: &[u8]) -> &Entry {
        let paths = paths(&self.entries);
        let found = self.entries.iter().find(|entry| paths[&entry.id] == path);
        found.expect("the sample has it")
    }

    /// The same without this entry.
    pub(crate) fn without(mut self, path: &[u8]) -> Self {
        let gone = self.find(path).id;
        self.entries.retain(|entry| entry.id != gone);
        self
    }

    /// A file of unknown size in place of the one at this path.
    pub(crate) fn unannounced(mut self, path: &[u8]) -> Self {
        let id = self.find(path).id;
        for entry in &mut self.entries {
            if entry.id == id {
                entry.kind = Kind::File(None);
            }
        }
        self
    }
}

/// The path of each entry by its number, from the top.
pub(crate) fn paths(entries: &[Entry]) -> BTreeMap<u64, Vec<u8>> {
    let mut paths: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for entry in entries {
        let mut path = paths.get(&entry.parent).cloned().unwrap_or_default();
        path.push(b'/');
        path.extend_from_slice(&entry.name);
        paths.insert(entry.id, path);
    }
    paths
}

/// A path, for people.
pub(crate) fn shown(path: &[u8]) -> String {
    const MAX_LENGTH: usize = 120;
    let mut text: String = path
        .iter()
        .take(MAX_LENGTH)
        .flat_map(|byte| std::ascii::escape_default(*byte))
        .map(char::from)
        .collect();
    if path.len() > MAX_LENGTH {
        let _ = write!(text, "… ({} bytes)", path.len());
    }
    text
}

/// A small tree of each usual thing: `/docs/a.txt`, `/docs/b.bin`, `/docs/deep/c`, `/empty`, `/large.bin`, `/link`.
pub(crate) fn usual(seed: u64) -> Tree {
    let body = |number, length| Body {
        seed: seed * 100 + number,
        length,
    };
    Tree::of(vec![
        Node::directory(
            "docs",
            vec![
                Node::file("a.txt", body(1, 1000)),
                Node::file("b.bin", body(2, 70_000)),
                Node::directory("deep", vec![Node::file("c", body(3, 333))]),
            ],
        ),
        Node::file("empty", body(4, 0)),
        Node::file("large.bin", body(5, 700_000)),
        Node::other("link", Kind::Symlink(b"docs/a.txt".to_vec())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_contents_are_the_same_from_whatever_place() {
        let body = Body {
            seed: 7,
            length: 1000,
        };
        let whole = body.whole();
        assert_eq!(whole.len(), 1000);
        for offset in [0, 1, 7, 8, 501, 999, 1000] {
            let from = usize::try_from(offset).expect("it is small");
            let until = whole.len().min(from + 100);
            assert_eq!(body.bytes(offset, 100), whole[from..until], "{offset}");
        }
    }

    #[test]
    fn a_tree_is_in_the_order_of_the_contract() {
        let tree = usual(1);
        let paths = paths(&tree.entries).into_values().map(String::from_utf8);
        let paths: Result<Vec<_>, _> = paths.collect();
        assert_eq!(
            paths.expect("they are text"),
            [
                "/docs",
                "/docs/a.txt",
                "/docs/b.bin",
                "/docs/deep",
                "/docs/deep/c",
                "/empty",
                "/large.bin",
                "/link",
            ]
        );
    }
}
