//! A snapshot that is being written.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::exports::tthost::backup::sink::Draft;
use crate::bindings::exports::tthost::backup::transfer::{Counts, GuestWriter, Receipt, Writer};
use crate::bindings::tthost::backup::types::{
    Completeness, Contents, Ending, Entry, Error, Instant, Kind, Small,
};
use crate::fault;
use crate::store::{self, Incoming, Node, NodeKind, Record};

/// What a store was given up with, for a fault.
pub(crate) type Unfinished = Rc<RefCell<Option<Record>>>;

/// A snapshot that is being written.
pub(crate) struct Pending {
    draft: Draft,
    state: RefCell<State>,
    /// The latest snapshot of the same host and paths, by which files are known.
    parent: BTreeMap<Vec<u8>, Node>,
    /// What was there when it began.
    before: BTreeSet<String>,
    unfinished: Unfinished,
    is_committed: RefCell<bool>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    paths: BTreeMap<u64, Vec<u8>>,
    contents: BTreeMap<u64, (String, u64)>,
    offers: u64,
    /// For a fault: contents that are stored later.
    later: Vec<Vec<u8>>,
}

const LOCK: &str = "lock";

fn locks() -> bool {
    ["begin-locks", "unlock-removes-nothing"]
        .iter()
        .any(|name| fault::is(name))
}

impl Pending {
    pub(crate) fn begin(draft: Draft, unfinished: Unfinished) -> Result<Self, Error> {
        if locks() {
            if store::names(".")?.contains(LOCK) {
                return Err(Error::Locked("somebody writes".into()));
            }
            store::write(LOCK, b"locked")?;
        }
        let before = store::ids()?;
        let mut latest: Option<Record> = None;
        for id in &before {
            let record = store::record(id)?;
            let is_later = latest
                .as_ref()
                .is_none_or(|latest| latest.seconds <= record.seconds);
            if record.complete && record.hostname == draft.hostname && is_later {
                latest = Some(record);
            }
        }
        let nodes = latest.map(|record| record.nodes).unwrap_or_default();
        let pending = Self {
            draft,
            state: RefCell::default(),
            parent: by_path(&nodes),
            before,
            unfinished,
            is_committed: RefCell::new(false),
        };
        if fault::is("begin-stores") {
            store::keep(&pending.record(Completeness::Complete))?;
        }
        Ok(pending)
    }

    /// The numbers of a batch's files whose contents are needed.
    fn take(&self, entries: Vec<Entry>) -> Vec<u64> {
        let mut state = self.state.borrow_mut();
        state.offers += 1;
        if state.offers > 1 && fault::is("forgets-the-second-batch") {
            return Vec::new();
        }
        let mut needed = Vec::new();
        for entry in entries {
            let mut path = state.paths.get(&entry.parent).cloned().unwrap_or_default();
            path.push(b'/');
            path.extend_from_slice(&entry.name);
            if let Kind::File(size) = entry.kind {
                match self.known(&path, &entry, size) {
                    Some(contents) => drop(state.contents.insert(entry.id, contents)),
                    None => needed.push(entry.id),
                }
            } else if fault::is("asks-for-links") && matches!(entry.kind, Kind::Symlink(_)) {
                needed.push(entry.id);
            }
            state.paths.insert(entry.id, path);
            state.entries.push(entry);
        }
        needed
    }

    /// The contents of a file that is as it was in the snapshot before.
    fn known(&self, path: &[u8], entry: &Entry, size: Option<u64>) -> Option<(String, u64)> {
        if self.draft.force && !fault::is("ignores-force") {
            return None;
        }
        let node = self.parent.get(path)?;
        let NodeKind::File(hash, length) = &node.kind else {
            return None;
        };
        let modified = &entry.metadata.modified;
        let same_time = node.modified == (modified.seconds, modified.nanoseconds);
        let is_same = same_time || fault::is("size-and-name-are-enough");
        (is_same && size == Some(*length)).then(|| (hash.clone(), *length))
    }

    fn record(&self, completeness: Completeness) -> Record {
        let state = self.state.borrow();
        let draft = &self.draft;
        let mut seen = BTreeSet::new();
        let mut nodes = Vec::new();
        for entry in &state.entries {
            let contents = state.contents.get(&entry.id).cloned();
            let is_file = matches!(entry.kind, Kind::File(_));
            let omitted = contents.is_none() && !fault::is("omitted-small-is-empty");
            if is_file && omitted {
                continue;
            }
            let node = Node::of(entry.clone(), contents.or_else(|| Some(self.nothing())));
            let is_special = matches!(
                node.kind,
                NodeKind::Fifo | NodeKind::Socket | NodeKind::Character(_) | NodeKind::Block(_)
            );
            let path = &state.paths[&entry.id];
            let depth = path.split(|byte| *byte == b'/').count() - 1;
            let is_empty = matches!(&node.kind, NodeKind::File(_, 0));
            let is_again = match &node.kind {
                NodeKind::File(hash, 1..) => !seen.insert(hash.clone()),
                _ => false,
            };
            let is_unchanged = self.parent.contains_key(path) && is_file;
            let is_childless = node.kind == NodeKind::Directory
                && !state.entries.iter().any(|child| child.parent == entry.id);
            let dropped = [
                ("drops-special-files", is_special),
                ("nothing-deeper-than-100", depth > 100),
                ("the-first-thousand-alone", nodes.len() >= 1000),
                ("drops-empty-files", is_empty),
                ("drops-empty-directories", is_childless),
                ("equal-is-one", is_again),
                ("leaves-out-the-unchanged", is_unchanged),
            ];
            if dropped
                .iter()
                .any(|(name, is_so)| *is_so && fault::is(name))
            {
                continue;
            }
            nodes.push(node);
        }
        let now = Instant {
            seconds: 1_750_000_000,
            nanoseconds: 0,
        };
        let time = if fault::is("a-time-of-its-own") {
            &now
        } else {
            &draft.time
        };
        let unless = |name, texts: &Vec<String>| {
            if fault::is(name) {
                Vec::new()
            } else {
                texts.clone()
            }
        };
        let is_complete = matches!(completeness, Completeness::Complete);
        Record {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
            hostname: if fault::is("a-host-of-its-own") {
                "localhost".into()
            } else {
                draft.hostname.clone()
            },
            username: if fault::is("forgets-the-user") {
                String::new()
            } else {
                draft.username.clone()
            },
            tags: unless("forgets-tags", &draft.tags),
            paths: unless("forgets-paths", &draft.paths),
            complete: (is_complete || fault::is("incomplete-is-not-said"))
                && !fault::is("always-incomplete"),
            nonce: store::nonce(),
            nodes,
        }
    }

    /// Contents that have no bytes.
    fn nothing(&self) -> (String, u64) {
        let made = Incoming::begin(self.draft.dry_run).and_then(|made| made.finish(0));
        made.unwrap_or_default()
    }

    fn put_one(&self, id: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut incoming = Incoming::begin(self.draft.dry_run)?;
        incoming.add(bytes)?;
        if fault::is("snapshot-before-contents") {
            self.state.borrow_mut().later.push(bytes.to_vec());
            let name = (store::hash(bytes), bytes.len() as u64);
            self.state.borrow_mut().contents.insert(id, name);
            return Ok(());
        }
        let contents = incoming.finish(id)?;
        self.state.borrow_mut().contents.insert(id, contents);
        Ok(())
    }

    /// The announced size of a file.
    fn announced(&self, id: u64) -> Option<u64> {
        let state = self.state.borrow();
        let entry = state.entries.iter().find(|entry| entry.id == id)?;
        match entry.kind {
            Kind::File(size) => size,
            _ => None,
        }
    }

    fn receipt(&self, record: &Record, snapshot: Option<String>) -> Receipt {
        let lengths = record.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::File(_, length) => Some(*length),
            _ => None,
        });
        let (mut files, mut bytes) = (lengths.clone().count() as u64, lengths.sum());
        if fault::is("counts-twice") {
            bytes *= 2;
            files *= 2;
        }
        if fault::is("dry-run-counts-nothing") && self.draft.dry_run {
            (files, bytes) = (0, 0);
        }
        let counts = |new| Counts {
            new,
            changed: 0,
            unmodified: 0,
        };
        Receipt {
            snapshot,
            files: counts(files),
            directories: counts(0),
            objects_added: 0,
            bytes_added: 0,
            bytes_stored: 0,
            bytes_total: bytes,
            removed: 0,
            failed: 0,
        }
    }
}

/// The nodes of a tree by their paths.
pub(crate) fn by_path(nodes: &[Node]) -> BTreeMap<Vec<u8>, Node> {
    let mut paths: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for node in nodes {
        let mut path = paths.get(&node.parent).cloned().unwrap_or_default();
        path.push(b'/');
        path.extend_from_slice(&node.name);
        paths.insert(node.id, path.clone());
        found.insert(path, node.clone());
    }
    found
}

impl GuestWriter for Pending {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let mut needed = self.take(entries);
        if fault::is("offer-stores") {
            store::keep(&self.record(Completeness::Complete))?;
        }
        if fault::is("asks-twice") {
            needed.extend(needed.first().copied());
        }
        if fault::is("asks-backwards") {
            needed.reverse();
        }
        if fault::is("asks-for-nothing") {
            needed.clear();
        }
        Ok(needed)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        for small in files {
            let (mut bytes, is_changed) = match small.contents {
                Contents::Whole(bytes) => (bytes, false),
                Contents::Changed(bytes) => (bytes, true),
                Contents::Omitted => continue,
            };
            if fault::is("holes-are-cut") {
                while bytes.pop_if(|byte| *byte == 0).is_some() {}
            }
            if fault::is("blocks-lose-a-byte") && bytes.len().is_multiple_of(4096) {
                bytes.pop();
            }
            if is_changed && fault::is("changed-is-cut") {
                bytes.truncate(1000);
            }
            self.put_one(small.id, &bytes)?;
        }
        if fault::is("small-files-store") {
            store::keep(&self.record(Completeness::Complete))?;
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        mut contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        if fault::is("a-file-stores") {
            store::keep(&self.record(Completeness::Complete))?;
        }
        let mut incoming = Incoming::begin(self.draft.dry_run)?;
        loop {
            let (result, piece) = contents.read(Vec::with_capacity(1 << 16)).await;
            let ended = !matches!(result, StreamResult::Complete(_));
            let is_unknown = self.announced(id).is_none();
            if !(fault::is("unknown-size-is-empty") && is_unknown) {
                incoming.add(&piece)?;
            }
            if fault::is("put-stalls") {
                std::future::pending::<()>().await;
            }
            if ended {
                break;
            }
        }
        if fault::is("waits-for-no-verdict") {
            let kept = incoming.finish(id)?;
            self.state.borrow_mut().contents.insert(id, kept);
            return Ok(());
        }
        let ending = match verdict.await {
            Err(_) if fault::is("takes-bad-verdicts") => Ending::Whole,
            Err(Error::Other(_)) if fault::is("a-cut-stream-is-whole") => Ending::Changed,
            verdict => verdict?,
        };
        if matches!(ending, Ending::Omitted) && !fault::is("omitted-is-kept") {
            if fault::is("omitted-is-an-error") {
                return Err(Error::Unavailable("the contents did not come".into()));
            }
            return Ok(());
        }
        let mut kept = incoming.finish(id)?;
        if matches!(ending, Ending::Changed) && fault::is("changed-has-its-announced-size") {
            kept.1 = self.announced(id).unwrap_or(kept.1);
        }
        self.state.borrow_mut().contents.insert(id, kept);
        if fault::is("a-whole-file-stores") {
            store::keep(&self.record(Completeness::Complete))?;
        }
        Ok(())
    }

    async fn commit(this: Writer, completeness: Completeness) -> Result<Receipt, Error> {
        let this = this.into_inner::<Self>();
        this.is_committed.replace(true);
        let record = this.record(completeness);
        if fault::is("an-empty-tree-is-refused") && record.nodes.is_empty() {
            return Err(Error::Unsupported("there is nothing to store".into()));
        }
        if this.draft.dry_run {
            let snapshot = fault::is("dry-run-names-a-snapshot").then(|| "dry".to_owned());
            return Ok(this.receipt(&record, snapshot));
        }
        if fault::is("commit-stalls") {
            std::future::pending::<()>().await;
        }
        let id = if fault::is("forgets-the-snapshot") {
            store::hash(b"forgotten")
        } else {
            store::keep(&record)?
        };
        for bytes in std::mem::take(&mut this.state.borrow_mut().later) {
            store::dawdle();
            store::write(&format!("objects/{}", store::hash(&bytes)), &bytes)?;
        }
        if fault::is("forgets-other-writers") {
            for other in store::ids()? {
                if other != id && !this.before.contains(&other) {
                    store::remove(&format!("snapshots/{other}"))?;
                }
            }
        }
        let snapshot = match this.before.first() {
            _ if fault::is("names-no-snapshot") => None,
            Some(old) if fault::is("names-an-old-snapshot") => Some(old.clone()),
            _ => Some(id),
        };
        Ok(this.receipt(&record, snapshot))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if locks() {
            // It may have been removed.
            let _ = store::remove(LOCK);
        }
        if *self.is_committed.borrow() {
            return;
        }
        if fault::is("giving-up-loops") {
            loop {
                std::hint::spin_loop();
            }
        }
        assert!(!fault::is("giving-up-traps"), "given up");
        if fault::is("giving-up-commits") {
            // That is the fault.
            let _ = store::keep(&self.record(Completeness::Complete));
        }
        if fault::is("close-commits") {
            let record = self.record(Completeness::Complete);
            self.unfinished.replace(Some(record));
        }
    }
}
