//! Turns a folder of a tree into a separate tree, on its way to a writer.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Writer;
use crate::contract::{Batch, Completeness, Entry, EntryKind, Receipt, Sequence, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;

/// Hands on what is in one folder. The tree holds nothing else but the directories that lead there, which
/// are its first entries, the folder itself the last of them.
pub(crate) struct Subfolder {
    /// How many directories lead there.
    leading: u64,
    writer: Box<dyn Writer>,
    /// The numbers of the tree that is passed on.
    sequence: Sequence,
}

impl Subfolder {
    /// Passes on to the writer the entries below this depth.
    pub(crate) fn new(depth: usize, writer: Box<dyn Writer>) -> Self {
        Self {
            leading: depth as u64,
            writer,
            sequence: Sequence::default(),
        }
    }

    /// The entries of the folder, with their new numbers.
    fn inside(&self, entries: &[Entry]) -> Result<Vec<Entry>> {
        let mut inside = Vec::new();
        for entry in entries {
            if entry.id > self.leading {
                inside.push(Entry {
                    id: entry.id - self.leading,
                    parent: entry.parent.saturating_sub(self.leading),
                    ..entry.clone()
                });
            } else if !matches!(entry.kind, EntryKind::Directory) {
                let text = format!("{} is not a folder of the snapshot", entry.name);
                return Err(Error::new(Kind::NotFound, text)
                    .help("select a file with --path, or print it with `tthost dump`"));
            }
        }
        Ok(inside)
    }
}

impl Writer for Subfolder {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.writer.concurrency(wanted)
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            let inside = self.inside(&entries)?;
            if inside.is_empty() {
                return Ok(HashSet::new());
            }
            let inside = self.sequence.admit(inside);
            let inside = inside.map_err(|invalid| Error::new(Kind::Other, invalid.to_string()))?;
            let needs = self.writer.offer(inside).await?;
            Ok(needs.into_iter().map(|id| id + self.leading).collect())
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        let inside = files.into_iter().map(|file| SmallFile {
            id: file.id.saturating_sub(self.leading),
            ..file
        });
        self.writer.put_small(inside.collect())
    }

    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        self.writer.put(id.saturating_sub(self.leading), content)
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        self.writer.commit(completeness)
    }
}
