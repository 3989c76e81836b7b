//! A snapshot that is read.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::exports::tthost::backup::sink::Selection;
use crate::bindings::exports::tthost::backup::transfer::{GuestReader, Range, Reader};
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::types::{Completeness, Contents, Ending, Entry, Error};
use crate::bindings::{wit_future, wit_stream};
use crate::fault;
use crate::store::{self, Node, NodeKind, Outgoing, Record};

/// A snapshot, or a part of it, that is read.
pub(crate) struct Reading {
    entries: RefCell<Vec<Entry>>,
    nodes: BTreeMap<u64, Node>,
    given: Cell<usize>,
    batches: Cell<u32>,
    skips: bool,
    is_complete: Rc<Cell<bool>>,
}

/// The id that this names.
pub(crate) fn find(name: &str) -> Result<String, Error> {
    let ids = store::ids()?;
    if fault::is("a-prefix-names-the-first") && !ids.contains(name) {
        return ids
            .into_iter()
            .next()
            .ok_or(Error::NotFound("nothing".into()));
    }
    let is_meant = |id: &&String| {
        if fault::is("whole-ids-alone") {
            *id == name
        } else {
            id.starts_with(name)
        }
    };
    let mut found = ids.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.clone()),
        (None, _) if fault::is("an-unknown-is-the-latest") && !ids.is_empty() => {
            Ok(ids.into_iter().next_back().unwrap_or_default())
        }
        (None, _) if fault::is("an-unknown-is-other") => {
            Err(Error::Other(format!("there is no snapshot {name}")))
        }
        (None, _) => Err(Error::NotFound(format!("there is no snapshot {name}"))),
        (Some(_), Some(_)) => Err(Error::NotFound(format!("{name} names several snapshots"))),
    }
}

impl Reading {
    pub(crate) fn begin(selection: &Selection) -> Result<Self, Error> {
        let record = store::record(&find(&selection.snapshot)?)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut nodes = BTreeMap::new();
        // The numbers of the directories that are open, by those of the snapshot.
        let mut numbers: BTreeMap<u64, u64> = BTreeMap::from([(0, 0)]);
        let mut names = subtrees(&record);
        let mut paths: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for node in &record.nodes {
            let mut path = paths.get(&node.parent).cloned().unwrap_or_default();
            path.push(node.name.clone());
            let is_wanted = wanted(selection, &path, node.kind == NodeKind::Directory);
            paths.insert(node.id, path);
            if !is_wanted {
                continue;
            }
            let Some(parent) = numbers.get(&node.parent) else {
                continue;
            };
            let id = entries.len() as u64 + 1;
            let parent = if fault::is("a-wrong-parent") && id > 2 {
                0
            } else {
                *parent
            };
            let id = if fault::is("numbers-have-gaps") && id > 2 {
                id + 1
            } else {
                id
            };
            entries.push(node.entry(id, parent, names.remove(&node.id)));
            numbers.insert(node.id, id);
            nodes.insert(id, node.clone());
        }
        if fault::is("in-the-wrong-order") {
            entries.reverse();
        }
        if fault::is("a-number-comes-twice")
            && let Some(entry) = entries.last_mut()
        {
            entry.id -= 1;
        }
        Ok(Self {
            entries: RefCell::new(entries),
            nodes,
            given: Cell::new(0),
            batches: Cell::new(0),
            skips: selection.skip_damaged,
            is_complete: Rc::new(Cell::new(record.complete)),
        })
    }

    fn file(&self, id: u64) -> Result<(String, u64), Error> {
        match self.nodes.get(&id).map(|node| &node.kind) {
            Some(NodeKind::File(hash, length)) => Ok((hash.clone(), *length)),
            _ => Err(Error::Other(format!("entry {id} is not a file"))),
        }
    }

    fn omit(&self, hash: &str) {
        log(Level::Warn, &format!("left out: {hash} is damaged"));
        if !fault::is("skips-in-silence") {
            self.is_complete.set(false);
        }
    }
}

/// Whether something at this path was asked for.
fn wanted(selection: &Selection, path: &[Vec<u8>], is_directory: bool) -> bool {
    let levels = match selection.levels {
        Some(_) if fault::is("ignores-levels") => usize::MAX,
        Some(levels) if fault::is("one-level-less") => (levels as usize).saturating_sub(1),
        Some(levels) => levels as usize,
        None => usize::MAX,
    };
    if selection.paths.is_empty() || fault::is("ignores-the-selection") {
        return path.len() <= levels;
    }
    let split = |selected: &Vec<u8>| -> Vec<Vec<u8>> {
        let text = String::from_utf8_lossy(selected).into_owned().into_bytes();
        let selected = if fault::is("paths-are-text") {
            &text
        } else {
            selected
        };
        let names = selected.split(|byte| *byte == b'/');
        names
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut selected: Vec<_> = selection.paths.iter().map(split).collect();
    if fault::is("the-first-path-alone") {
        selected.truncate(1);
    }
    selected.iter().any(|selected| {
        let common = path
            .iter()
            .zip(selected)
            .take_while(|(one, other)| one == other)
            .count();
        let below = path.len() - common;
        let is_below = common == selected.len()
            && below <= levels
            && !(fault::is("nothing-below-a-path") && below > 0);
        let is_above = common == path.len() && is_directory;
        is_below || is_above
    })
}

/// Names for all that is below each directory, by the numbers of the directories.
fn subtrees(record: &Record) -> BTreeMap<u64, Vec<u8>> {
    let mut hashers: BTreeMap<u64, Sha256> = BTreeMap::new();
    let mut names: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    // From the last to the first, all that is below a directory comes before it.
    for node in record.nodes.iter().rev() {
        if node.kind == NodeKind::Directory {
            let name = hashers
                .remove(&node.id)
                .unwrap_or_default()
                .finalize()
                .to_vec();
            names.insert(node.id, name);
        }
        let mut plain = node.clone();
        (plain.id, plain.parent) = (0, 0);
        let hasher = hashers.entry(node.parent).or_default();
        hasher.update(serde_json::to_vec(&plain).unwrap_or_default());
        hasher.update(names.get(&node.id).map_or(&[][..], Vec::as_slice));
    }
    for name in names.values_mut() {
        if fault::is("all-directories-are-one") {
            *name = vec![1];
        }
        if fault::is("directories-are-never-the-same") {
            *name = store::nonce().to_le_bytes().to_vec();
        }
    }
    names
}

impl GuestReader for Reading {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        self.batches.set(self.batches.get() + 1);
        if fault::is("next-stalls") {
            std::future::pending::<()>().await;
        }
        if fault::is("ends-early") && self.given.get() > 0 {
            return Ok(Vec::new());
        }
        let max = if fault::is("more-than-was-asked-for") {
            1024
        } else {
            max as usize
        };
        let entries = self.entries.borrow();
        let given = self.given.get();
        let until = entries.len().min(given + max);
        self.given.set(until);
        Ok(entries[given..until].to_vec())
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        if fault::is("the-last-batch-alone") && self.batches.get() > 1 {
            let last: BTreeSet<_> = (self.given.get().saturating_sub(20)..self.given.get())
                .map(|at| at as u64 + 1)
                .collect();
            if let Some(id) = ids.iter().find(|id| !last.contains(id)) {
                return Err(Error::Other(format!("entry {id} is not of the last batch")));
            }
        }
        let mut all = Vec::new();
        for id in ids {
            let (hash, _) = self.file(id)?;
            all.push(match store::contents(&hash) {
                Err(_) if self.skips => {
                    self.omit(&hash);
                    Contents::Omitted
                }
                contents => Contents::Whole(contents?),
            });
        }
        Ok(all)
    }

    async fn read(
        &self,
        id: u64,
        range: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        let (hash, length) = self.file(id)?;
        let mut outgoing = match Outgoing::open(&hash) {
            Ok(outgoing) => Some(outgoing),
            Err(_) if self.skips => {
                self.omit(&hash);
                None
            }
            Err(error) => return Err(error),
        };
        let mut range = range.unwrap_or(Range {
            offset: 0,
            length: u64::MAX,
        });
        if fault::is("ignores-the-range") {
            (range.offset, range.length) = (0, u64::MAX);
        }
        if fault::is("a-range-begins-at-0") {
            range.offset = 0;
        }
        let end = range.offset.saturating_add(range.length);
        if fault::is("beyond-the-end-is-an-error") && end > length && range.length != u64::MAX {
            return Err(Error::Other("that is beyond the end".into()));
        }
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("nobody gave a verdict".into())));
        let (skips, is_complete) = (self.skips, self.is_complete.clone());
        wit_bindgen::spawn_local(async move {
            let mut place = 0;
            let mut pieces = 0;
            let mut held: Option<Vec<u8>> = None;
            while let Some(from) = &mut outgoing {
                let piece = match from.next() {
                    Ok(piece) if piece.is_empty() => break,
                    Ok(piece) => piece,
                    Err(error) => {
                        drop(pipe);
                        // Nobody need be listening.
                        let _ = tell.write(Err(error)).await;
                        return;
                    }
                };
                let begin = place;
                place += piece.len() as u64;
                let from = range.offset.clamp(begin, place) - begin;
                let until = end.clamp(begin, place) - begin;
                let bounds =
                    usize::try_from(from).unwrap_or(0)..usize::try_from(until).unwrap_or(0);
                let mut piece = piece.get(bounds).unwrap_or_default().to_vec();
                pieces += 1;
                if fault::is("swaps-pieces") && pieces == 3 {
                    held = Some(piece);
                    continue;
                }
                if fault::is("a-short-stream-is-whole") && pieces > 10 {
                    continue;
                }
                if fault::is("a-long-stream-is-whole") && pieces == 10 {
                    piece.push(0);
                }
                if let Some(held) = held.take() {
                    piece.extend(held);
                }
                let rest = pipe.write_all(piece).await;
                assert!(
                    rest.is_empty() || !fault::is("cannot-be-given-up"),
                    "nobody reads any more"
                );
                if !rest.is_empty() {
                    return;
                }
            }
            drop(pipe);
            let told = match outgoing.map(Outgoing::verify) {
                Some(Ok(())) => Ok(Ending::Whole),
                Some(Err(error)) if !skips => Err(error),
                _ => {
                    is_complete.set(false);
                    Ok(Ending::Omitted)
                }
            };
            // Nobody need be listening.
            let _ = tell.write(told).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        let this = this.into_inner::<Self>();
        Ok(if this.is_complete.get() {
            Completeness::Complete
        } else {
            Completeness::Incomplete
        })
    }
}
