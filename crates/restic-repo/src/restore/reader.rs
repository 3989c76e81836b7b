//! A snapshot's tree, entry by entry.

use std::collections::HashMap;
use std::rc::Rc;

use super::SealedContents;
use super::census::Census;
use super::contents::open_small;
use crate::core::Core;
use crate::error::corrupt;
use crate::pack::BlobType;
use crate::tree::Node;
use crate::{Entry, Error, Id, Kind, Platform, Result};

/// Deeper trees are refused: no file system has them, and a hostile repository may.
const DEEPEST: usize = 4096;

/// Which part of a snapshot to read.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The snapshot's id, or a unique prefix of it.
    pub snapshot: String,
    /// Only what lies at or below these absolute paths, and the directories above it; all
    /// when empty.
    pub paths: Vec<Vec<u8>>,
    /// How many levels below the paths are read; all where there is none.
    pub levels: Option<u32>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes, or fewer where the file ends before.
    pub length: u64,
}

/// Reads a snapshot.
pub struct Reader<P: Platform> {
    core: Rc<Core<P>>,
    /// The top, until it is opened.
    top: Option<Id>,
    selected: Vec<Vec<Vec<u8>>>,
    /// How many levels below what is selected are read.
    levels: usize,
    /// Which of the selected paths were come across.
    found: Vec<bool>,
    open: Vec<Directory>,
    census: Census,
    last: u64,
    /// The last entry before the batch that was given out last.
    before: u64,
    /// The contents of the files of the last two batches.
    contents: HashMap<u64, Node>,
}

struct Directory {
    id: u64,
    name: Vec<u8>,
    rest: std::vec::IntoIter<Node>,
}

impl<P: Platform> Reader<P> {
    pub(crate) fn new(core: Rc<Core<P>>, tree: Id, selection: &Selection) -> Self {
        let paths = &selection.paths;
        let levels = selection
            .levels
            .map_or(usize::MAX, |levels| levels as usize);
        let components = |path: &Vec<u8>| -> Vec<Vec<u8>> {
            path.split(|byte| *byte == b'/')
                .filter(|part| !part.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        };
        Self {
            core,
            top: Some(tree),
            selected: paths.iter().map(components).collect(),
            found: vec![false; paths.len()],
            levels,
            open: Vec::new(),
            census: Census::default(),
            last: 0,
            before: 0,
            contents: HashMap::new(),
        }
    }

    /// The next entries, at most so many; none at the end.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Entry>> {
        let before = std::mem::replace(&mut self.before, self.last);
        self.contents.retain(|id, _| *id > before);
        if let Some(top) = self.top.take() {
            let nodes = self.load(top).await?;
            self.open.push(Directory {
                id: 0,
                name: Vec::new(),
                rest: nodes,
            });
        }
        let mut entries = Vec::new();
        while entries.len() < most {
            let Some(directory) = self.open.last_mut() else {
                break;
            };
            let parent = directory.id;
            let Some(node) = directory.rest.next() else {
                self.open.pop();
                continue;
            };
            let Some(levels) = self.wants(&node) else {
                continue;
            };
            self.last += 1;
            let mut entry = node.entry(self.last, parent)?;
            if let Kind::File(size) = &mut entry.kind {
                *size = Some(self.size(&node)?);
            }
            entries.push(entry);
            if node.is_directory() {
                if levels > 0 {
                    self.enter(node).await?;
                }
            } else {
                self.contents.insert(self.last, node);
            }
        }
        Ok(entries)
    }

    /// The contents of a file that was in one of the last two batches.
    pub fn read(&self, id: u64) -> Result<SealedContents<P>> {
        SealedContents::new(self.core.clone(), self.blobs(id)?)
    }

    /// A part of the contents of a file: the blobs that hold it, and how many bytes of them come
    /// before it.
    pub fn read_range(&self, id: u64, range: Range) -> Result<(SealedContents<P>, u64)> {
        let blobs = self.blobs(id)?;
        let end = range.offset.saturating_add(range.length);
        let mut before = 0;
        let mut at = 0;
        let mut held = 0..0;
        for (index, blob) in blobs.iter().enumerate() {
            let length = self.core.locate(BlobType::Data, *blob)?.plain_length();
            let next = at + length;
            if next <= range.offset {
                before = next;
                held = index + 1..index + 1;
            } else if at < end {
                held.end = index + 1;
            }
            at = next;
        }
        let contents = SealedContents::new(self.core.clone(), &blobs[held])?;
        Ok((contents, range.offset.saturating_sub(before)))
    }

    /// The contents of small files, whole, in the order of their numbers.
    pub async fn read_small(&self, ids: &[u64]) -> Result<Vec<Vec<u8>>> {
        let files = ids.iter().map(|id| self.blobs(*id));
        open_small(&self.core, &files.collect::<Result<Vec<_>>>()?).await
    }

    fn blobs(&self, id: u64) -> Result<&[Id]> {
        let node = self.contents.get(&id).ok_or_else(|| {
            Error::Other(format!(
                "entry {id} is no file, or was not in the last two batches"
            ))
        })?;
        Ok(node.content.as_deref().unwrap_or_default())
    }

    /// The verdict on the whole: whether all that was selected is there.
    pub fn finish(self) -> Result<()> {
        match self.found.iter().position(|found| !found) {
            Some(index) => {
                let path = self.selected[index].join(&b'/');
                Err(Error::NotFound(format!(
                    "the snapshot holds no /{}",
                    String::from_utf8_lossy(&path)
                )))
            }
            None => Ok(()),
        }
    }

    /// The size of what a file's blobs hold. What the node says is not to be relied on: rustic
    /// writes 0 for what it read from a pipe.
    fn size(&self, node: &Node) -> Result<u64> {
        node.content.iter().flatten().try_fold(0_u64, |size, blob| {
            let length = self.core.locate(BlobType::Data, *blob)?.plain_length();
            size.checked_add(length)
                .ok_or_else(|| corrupt("a file is larger than a file can be"))
        })
    }

    /// What a directory lists, unless there is more below directories like it than can be meant.
    async fn load(&mut self, tree: Id) -> Result<std::vec::IntoIter<Node>> {
        let nodes = self.core.load_tree(tree).await?.nodes;
        self.census.count(tree, nodes.len(), self.last)?;
        Ok(nodes.into_iter())
    }

    async fn enter(&mut self, node: Node) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(corrupt(format!(
                "the snapshot is deeper than {DEEPEST} directories"
            )));
        }
        let subtree = node
            .subtree
            .ok_or_else(|| corrupt("a directory of the snapshot has no tree"))?;
        let rest = self.load(subtree).await?;
        self.open.push(Directory {
            id: self.last,
            name: node.name,
            rest,
        });
        Ok(())
    }

    /// How many levels below a node of the innermost open directory are wanted; none when it is
    /// not wanted itself. It is when it is selected, lies below what is, or leads there.
    fn wants(&mut self, node: &Node) -> Option<usize> {
        let depth = self.open.len();
        if self.selected.is_empty() {
            return self.levels.checked_sub(depth);
        }
        let path: Vec<&[u8]> = self
            .open
            .iter()
            .skip(1)
            .map(|directory| directory.name.as_slice())
            .chain([node.name.as_slice()])
            .collect();
        let mut wanted = None;
        for (selected, found) in self.selected.iter().zip(&mut self.found) {
            let common = path
                .iter()
                .zip(selected)
                .take_while(|(a, b)| **a == b.as_slice())
                .count();
            let below = common == selected.len();
            let above = common == path.len() && node.is_directory();
            *found |= below;
            let levels = if below {
                // What is selected itself is on level 0.
                self.levels.checked_sub(depth - selected.len())
            } else {
                above.then_some(usize::MAX)
            };
            wanted = wanted.max(levels);
        }
        wanted
    }
}
