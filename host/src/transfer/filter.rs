//! Filters a tree by patterns on its way to a writer.

use std::collections::{HashMap, HashSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tthost_patterns::Patterns;

use super::Writer;
use crate::contract::{Batch, Completeness, Entry, EntryKind, Receipt, Sequence, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;

/// Passes on the entries that the patterns select, as a tree with its own numbers.
pub(crate) struct Filter {
    patterns: Patterns,
    writer: Box<dyn Writer>,
    /// The directories that hold what comes next, outermost first.
    open: Vec<Level>,
    /// The numbers that the files of the batch have for the writer.
    files: HashMap<u64, u64>,
    /// Entries that were handed on.
    given: u64,
    /// The numbers of the tree that this filter passes on.
    sequence: Sequence,
}

struct Level {
    /// Its number in the whole tree.
    id: u64,
    path: Vec<u8>,
    state: State,
}

enum State {
    /// The filter omits it, with everything below it.
    Excluded,
    /// The filter has passed on nothing in it yet.
    Pending(Box<Entry>),
    /// The writer has it, by this number.
    Given {
        id: u64,
        /// The filter passes on everything in it that is not excluded.
        included: bool,
    },
}

impl Filter {
    /// Only what these patterns take, from here on to the writer.
    pub(crate) fn new(patterns: Patterns, writer: Box<dyn Writer>) -> Self {
        Self {
            patterns,
            writer,
            open: Vec::new(),
            files: HashMap::new(),
            given: 0,
            sequence: Sequence::default(),
        }
    }

    fn choose(&mut self, entries: &[Entry]) -> Vec<Entry> {
        self.files.clear();
        let mut chosen = Vec::new();
        for entry in entries {
            self.take(entry, &mut chosen);
        }
        chosen
    }

    fn take(&mut self, entry: &Entry, chosen: &mut Vec<Entry>) {
        while self.open.pop_if(|level| level.id != entry.parent).is_some() {}
        let (mut path, in_excluded, in_included) = match self.open.last() {
            Some(Level { path, state, .. }) => (
                [path, &b"/"[..]].concat(),
                matches!(state, State::Excluded),
                matches!(state, State::Given { included: true, .. }),
            ),
            None => (Vec::new(), false, false),
        };
        path.extend_from_slice(entry.name.as_bytes());
        let is_directory = matches!(entry.kind, EntryKind::Directory);
        let excluded = in_excluded || self.patterns.exclude(&path, is_directory);
        let included = in_included || self.patterns.include(&path, is_directory);
        if is_directory {
            let state = if excluded {
                State::Excluded
            } else {
                State::Pending(Box::new(entry.clone()))
            };
            self.open.push(Level {
                id: entry.id,
                path,
                state,
            });
            if included && !excluded {
                self.announce(true, chosen);
            }
        } else if included && !excluded {
            self.announce(false, chosen);
            let id = self.give(entry, self.open.len(), chosen);
            if matches!(entry.kind, EntryKind::File(_)) {
                self.files.insert(entry.id, id);
            }
        }
    }

    /// Passes on the directories that hold a selected entry.
    fn announce(&mut self, included: bool, chosen: &mut Vec<Entry>) {
        for depth in 0..self.open.len() {
            let State::Pending(entry) = &self.open[depth].state else {
                continue;
            };
            let entry = entry.clone();
            let id = self.give(&entry, depth, chosen);
            let is_last = depth + 1 == self.open.len();
            self.open[depth].state = State::Given {
                id,
                included: included && is_last,
            };
        }
    }

    /// Gives an entry that lies below so many directories.
    fn give(&mut self, entry: &Entry, depth: usize, chosen: &mut Vec<Entry>) -> u64 {
        let above = depth.checked_sub(1).map(|above| &self.open[above].state);
        let parent = match above {
            Some(State::Given { id, .. }) => *id,
            _ => 0,
        };
        self.given += 1;
        chosen.push(Entry {
            id: self.given,
            parent,
            ..entry.clone()
        });
        self.given
    }

    fn number(&self, id: u64) -> Result<u64> {
        let number = self.files.get(&id).copied();
        number.ok_or_else(|| {
            Error::new(
                Kind::Plugin,
                format!("contents came for entry {id}, which needs none"),
            )
        })
    }
}

impl Writer for Filter {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.writer.concurrency(wanted)
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            let chosen = self.choose(&entries);
            if chosen.is_empty() {
                return Ok(HashSet::new());
            }
            let chosen = self.sequence.admit(chosen);
            let chosen = chosen.map_err(|invalid| Error::new(Kind::Other, invalid.to_string()))?;
            let needs = self.writer.offer(chosen).await?;
            let files = self.files.iter().filter(|(_, id)| needs.contains(id));
            Ok(files.map(|(id, _)| *id).collect())
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        async move {
            let numbered = files
                .into_iter()
                .map(|file| {
                    let id = self.number(file.id)?;
                    Ok(SmallFile { id, ..file })
                })
                .collect::<Result<_>>()?;
            self.writer.put_small(numbered).await
        }
        .boxed()
    }

    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        async move {
            let id = self.number(id)?;
            self.writer.put(id, content).await
        }
        .boxed()
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        self.writer.commit(completeness)
    }
}
