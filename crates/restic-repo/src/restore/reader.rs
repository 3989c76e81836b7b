//! Reads a snapshot's tree, entry by entry.

use std::collections::HashMap;
use std::rc::Rc;

use super::SealedContents;
use super::census::Census;
use super::contents::open_small;
use super::omissions::{Omissions, at};
use crate::backup::Completeness;
use crate::core::Core;
use crate::error::corrupt;
use crate::pack::BlobType;
use crate::tree::Node;
use crate::{Entry, Error, Id, Kind, Platform, Result};

/// Deeper trees are refused: no file system has them, and a hostile repository may.
pub(crate) const DEEPEST: usize = 4096;

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
    /// Leave out what is damaged, and say so, instead of failing.
    pub skip_damaged: bool,
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
    contents: HashMap<u64, File>,
    omissions: Omissions,
}

struct Directory {
    id: u64,
    name: Vec<u8>,
    /// From the top, ending with a slash.
    path: Rc<[u8]>,
    rest: std::vec::IntoIter<Node>,
}

/// A file whose contents can be read.
struct File {
    /// The path of its directory, ending with a slash.
    above: Rc<[u8]>,
    node: Node,
}

impl File {
    /// Its path, as text for messages.
    fn path(&self) -> String {
        shown(&self.above, &self.node.name)
    }

    fn blobs(&self) -> &[Id] {
        self.node.content.as_deref().unwrap_or_default()
    }
}

fn shown(above: &[u8], name: &[u8]) -> String {
    String::from_utf8_lossy(&[above, name].concat()).into_owned()
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
            omissions: Omissions::new(selection.skip_damaged),
        }
    }

    /// The next entries, at most so many; none at the end.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Entry>> {
        let before = std::mem::replace(&mut self.before, self.last);
        self.contents.retain(|id, _| *id > before);
        if let Some(top) = self.top.take() {
            let nodes = self.core.load_tree(top).await?.nodes;
            self.census.count(top, nodes.len(), self.last)?;
            self.open.push(Directory {
                id: 0,
                name: Vec::new(),
                path: b"/"[..].into(),
                rest: nodes.into_iter(),
            });
        }
        let mut entries = Vec::new();
        while entries.len() < most {
            let Some(directory) = self.open.last_mut() else {
                break;
            };
            let parent = directory.id;
            let above = directory.path.clone();
            let Some(node) = directory.rest.next() else {
                self.open.pop();
                continue;
            };
            let Some(levels) = self.wants(&node) else {
                continue;
            };
            let path = || shown(&above, &node.name);
            let entry = node.entry(self.last + 1, parent);
            let entry = self.omissions.spare(&*self.core.platform, path, entry)?;
            let Some(mut entry) = entry else {
                continue;
            };
            self.last += 1;
            if let Kind::File(size) = &mut entry.kind {
                // Contents that cannot be found are missed when somebody asks for them.
                *size = self.size(&node).or_else(|error| match error {
                    Error::Corrupt(_) if self.omissions.are_allowed() => Ok(None),
                    error => Err(at(&path(), error)),
                })?;
            }
            entries.push(entry);
            if node.is_directory() {
                if levels > 0 {
                    self.enter(&above, node).await?;
                }
            } else {
                self.contents.insert(self.last, File { above, node });
            }
        }
        Ok(entries)
    }

    /// The contents of a file that was in one of the last two batches; none where they are damaged and left out.
    pub fn read(&self, id: u64) -> Result<Option<SealedContents<P>>> {
        let file = self.file(id)?;
        let path = file.path();
        let omissions = &self.omissions;
        let contents = SealedContents::new(&self.core, file.blobs(), &path, omissions);
        omissions.spare(&*self.core.platform, || path, contents)
    }

    /// A part of the contents of a file: the blobs that hold it, and how many bytes of them come
    /// before it.
    pub fn read_range(&self, id: u64, range: Range) -> Result<(SealedContents<P>, u64)> {
        let file = self.file(id)?;
        let blobs = file.blobs();
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
        let path = file.path();
        let contents = SealedContents::new(&self.core, &blobs[held], &path, &self.omissions)?;
        Ok((contents, range.offset.saturating_sub(before)))
    }

    /// The contents of small files, whole, in the order of their numbers; none for those that are damaged and left out.
    pub async fn read_small(&mut self, ids: &[u64]) -> Result<Vec<Option<Vec<u8>>>> {
        let files: Result<Vec<_>> = ids.iter().map(|id| self.file(*id)).collect();
        let blobs: Vec<_> = files?.into_iter().map(File::blobs).collect();
        match open_small(&self.core, &blobs).await {
            Ok(contents) => return Ok(contents.into_iter().map(Some).collect()),
            Err(Error::Corrupt(_) | Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        // One by one it shows which of them are damaged.
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            let file = self.file(*id)?;
            let path = file.path();
            let opened = open_small(&self.core, &[file.blobs()]).await;
            let opened = self
                .omissions
                .spare(&*self.core.platform, || path, opened)?;
            contents.push(opened.map(|mut opened| opened.pop().unwrap_or_default()));
        }
        Ok(contents)
    }

    fn file(&self, id: u64) -> Result<&File> {
        self.contents.get(&id).ok_or_else(|| {
            Error::Other(format!(
                "entry {id} is not a file, or was not in the last two batches"
            ))
        })
    }

    /// The verdict on the whole: whether all that was selected is there, and nothing of it was left out.
    pub fn finish(self) -> Result<Completeness> {
        match self.found.iter().position(|found| !found) {
            Some(index) => {
                let path = self.selected[index].join(&b'/');
                Err(Error::NotFound(format!(
                    "the snapshot holds no /{}",
                    String::from_utf8_lossy(&path)
                )))
            }
            None => Ok(self.omissions.completeness()),
        }
    }

    /// The size of what a file's blobs hold. What the node says is not to be relied on: rustic
    /// writes 0 for what it read from a pipe.
    fn size(&self, node: &Node) -> Result<Option<u64>> {
        let mut blobs = node.content.iter().flatten();
        let size = blobs.try_fold(0_u64, |size, blob| {
            let length = self.core.locate(BlobType::Data, *blob)?.plain_length();
            size.checked_add(length)
                .ok_or_else(|| corrupt("a file is larger than a file can be"))
        });
        size.map(Some)
    }

    async fn enter(&mut self, above: &[u8], node: Node) -> Result<()> {
        let path = [above, &node.name, b"/"].concat();
        let shown = || String::from_utf8_lossy(&path).into_owned();
        // The top is among the open ones.
        if self.open.len() > DEEPEST {
            let text = format!("the snapshot is deeper than {DEEPEST} directories");
            return Err(at(&shown(), corrupt(text)));
        }
        let loaded = match node.subtree {
            Some(subtree) => self
                .core
                .load_tree(subtree)
                .await
                .map(|tree| (subtree, tree)),
            None => Err(corrupt("the directory has no tree")),
        };
        let loaded = self.omissions.spare(&*self.core.platform, shown, loaded)?;
        let Some((subtree, tree)) = loaded else {
            return Ok(());
        };
        self.census.count(subtree, tree.nodes.len(), self.last)?;
        self.open.push(Directory {
            id: self.last,
            name: node.name,
            path: path.into(),
            rest: tree.nodes.into_iter(),
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
