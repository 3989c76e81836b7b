//! What checks share: a fixture with a store, storing a tree in it, reading it back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::files::Files;
use crate::host::{Given, Host, Reader, Store, StoreFixture, Writer};
use crate::model::{
    Access, Completeness, Draft, Ending, Entry, Error, Instant, Kind, Receipt, Selection, Small,
    Snapshot,
};
use crate::suite::{Stop, Verdict};
use crate::tree::{Body, Tree, paths, shown};

/// Entries of a batch.
pub(crate) const BATCH: u32 = 1024;

/// Files up to this size travel together.
pub(crate) const SMALL: u64 = 512 << 10;

/// Bytes of small files that travel together.
const GROUP: u64 = 1 << 20;

/// Where checks are done.
pub(crate) struct Lab<'h> {
    pub(crate) host: &'h dyn Host,
    /// With sizes that take minutes.
    pub(crate) full: bool,
    /// A store that was just made, to be copied.
    new_store: RefCell<Option<Files>>,
}

/// The rule is broken, and this was seen.
pub(crate) fn fail<T>(seen: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(seen.into()))
}

/// The plugin does not claim what the rule is about.
pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

/// The rule is broken, unless this is so.
pub(crate) fn ensure(is_so: bool, seen: impl FnOnce() -> String) -> Result<(), Stop> {
    if is_so { Ok(()) } else { fail(seen()) }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!(
            "the directory of the store cannot be used: {error}"
        ))
    }
}

/// Why a snapshot that was read back is not the tree that was stored.
pub(crate) enum Mismatch {
    /// The plugin says that it cannot.
    Error(Error),
    /// It gives something else.
    Different(String),
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Mismatch> for Stop {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Error(error) => error.into(),
            Mismatch::Different(seen) => Self::Failed(seen),
        }
    }
}

/// What is known of the snapshot with this number before its tree is. A higher number is later.
pub(crate) fn draft(number: u32) -> Draft {
    Draft {
        time: Instant {
            seconds: 1_700_000_000 + i64::from(number) * 3600,
            nanoseconds: 0,
        },
        hostname: "conformance".into(),
        username: "ada".into(),
        tags: vec!["suite".into()],
        paths: vec!["/sample".into()],
        dry_run: false,
        force: false,
    }
}

impl<'h> Lab<'h> {
    pub(crate) fn new(host: &'h dyn Host, full: bool) -> Self {
        Self {
            host,
            full,
            new_store: RefCell::new(None),
        }
    }

    /// A fixture with a new store.
    pub(crate) async fn store(&self) -> Result<Box<dyn StoreFixture>, Stop> {
        let fixture = self.host.store_fixture().await?;
        let Some(directory) = fixture.directory() else {
            fixture.create().await?.close().await?;
            return Ok(fixture);
        };
        let known = self.new_store.borrow().clone();
        if let Some(files) = known {
            files.restore(directory)?;
            return Ok(fixture);
        }
        fixture.create().await?.close().await?;
        let files = Files::of(directory)?;
        self.new_store.replace(Some(files));
        Ok(fixture)
    }

    /// A fixture whose store has a snapshot of each of these trees, and the ids of the snapshots.
    pub(crate) async fn store_of(
        &self,
        trees: &[&Tree],
    ) -> Result<(Box<dyn StoreFixture>, Vec<String>), Stop> {
        let fixture = self.store().await?;
        let mut ids = Vec::new();
        for (number, tree) in (0..).zip(trees) {
            ids.push(self.add(&*fixture, number, tree).await?);
        }
        Ok((fixture, ids))
    }

    /// Stores one more snapshot, in an instance of its own, and answers its id.
    pub(crate) async fn add(
        &self,
        fixture: &dyn StoreFixture,
        number: u32,
        tree: &Tree,
    ) -> Result<String, Stop> {
        let store = fixture.open(Access::ReadWrite).await?;
        let receipt = write(&*store, draft(number), tree).await?;
        store.close().await?;
        match receipt.snapshot {
            Some(id) => Ok(id),
            None => fail("the receipt of the commit names no snapshot"),
        }
    }

    /// The snapshots that a new instance lists.
    pub(crate) async fn list(&self, fixture: &dyn StoreFixture) -> Result<Vec<Snapshot>, Stop> {
        let store = fixture.open(Access::ReadOnly).await?;
        let snapshots = store.snapshots().await?;
        store.close().await?;
        Ok(snapshots)
    }

    /// The ids that a new instance lists, in their order.
    pub(crate) async fn ids(&self, fixture: &dyn StoreFixture) -> Result<Vec<String>, Stop> {
        let snapshots = self.list(fixture).await?;
        Ok(snapshots.into_iter().map(|snapshot| snapshot.id).collect())
    }

    /// Fails unless a new instance lists these ids and no others.
    pub(crate) async fn expect_ids(
        &self,
        fixture: &dyn StoreFixture,
        ids: &[String],
    ) -> Result<(), Stop> {
        let listed = self.ids(fixture).await?;
        let same = listed.iter().collect::<BTreeSet<_>>() == ids.iter().collect()
            && listed.len() == ids.len();
        ensure(same, || {
            format!(
                "it lists {} snapshots ({}), where {} are stored ({})",
                listed.len(),
                listed.join(", "),
                ids.len(),
                ids.join(", ")
            )
        })
    }

    /// Fails unless a new instance gives the tree of a snapshot as it was stored.
    pub(crate) async fn expect_tree(
        &self,
        fixture: &dyn StoreFixture,
        id: &str,
        tree: &Tree,
    ) -> Result<Completeness, Mismatch> {
        let store = fixture.open(Access::ReadOnly).await?;
        let read = read_all(&*store, whole(id), tree).await;
        if read.is_ok() {
            store.close().await?;
        }
        read
    }

    /// Fails unless storing and reading work in a fixture, beside the snapshots that it has.
    pub(crate) async fn expect_use(
        &self,
        fixture: &dyn StoreFixture,
        there: &[String],
    ) -> Result<(), Stop> {
        let tree = crate::tree::usual(99);
        let id = self.add(fixture, 99, &tree).await?;
        self.expect_tree(fixture, &id, &tree).await?;
        self.expect_ids(fixture, &[there, &[id]].concat()).await
    }
}

/// The files in the directory of a fixture.
pub(crate) fn files(fixture: &dyn StoreFixture) -> Result<Option<Files>, Stop> {
    Ok(fixture.directory().map(Files::of).transpose()?)
}

/// Fails if the directory of a fixture has changed.
pub(crate) fn expect_files(
    fixture: &dyn StoreFixture,
    before: Option<&Files>,
    when: &str,
) -> Verdict {
    let (Some(before), Some(now)) = (before, files(fixture)?) else {
        return Ok(());
    };
    match before.difference(&now) {
        Some(difference) => fail(format!("{when}: {difference}")),
        None => Ok(()),
    }
}

/// The directory that the plugin stores in, where it has one.
pub(crate) fn directory(fixture: &dyn StoreFixture) -> Result<&Path, Stop> {
    match fixture.directory() {
        Some(directory) => Ok(directory),
        None => skip("it does not store in a directory that can be looked into"),
    }
}

/// All of a snapshot.
pub(crate) fn whole(id: &str) -> Selection {
    Selection {
        snapshot: id.into(),
        ..Selection::default()
    }
}

/// Stores a tree.
pub(crate) async fn write(store: &dyn Store, draft: Draft, tree: &Tree) -> Result<Receipt, Error> {
    let mut writer = store.begin(draft).await?;
    send(&mut *writer, tree).await?;
    writer.commit(Completeness::Complete).await
}

/// Hands a tree to a writer, as a host does.
pub(crate) async fn send(writer: &mut dyn Writer, tree: &Tree) -> Result<(), Error> {
    for batch in tree.entries.chunks(BATCH as usize) {
        let wanted = writer.offer(batch.to_vec()).await?;
        let wanted = wanted
            .into_iter()
            .filter_map(|id| Some((id, *tree.bodies.get(&id)?)));
        let announced = |id: u64| {
            let entry = batch.iter().find(|entry| entry.id == id);
            matches!(entry, Some(Entry { kind: Kind::File(Some(size)), .. }) if *size <= SMALL)
        };
        let (small, large): (Vec<_>, Vec<_>) = wanted.partition(|(id, _)| announced(*id));
        let mut group = Vec::new();
        let mut bytes = 0;
        for (id, body) in small {
            bytes += body.length;
            group.push(small_of(id, body));
            if bytes >= GROUP {
                bytes = 0;
                writer.put_small(std::mem::take(&mut group)).await?;
            }
        }
        if !group.is_empty() {
            writer.put_small(group).await?;
        }
        for (id, body) in large {
            writer.put(id, Given::whole(body)).await?;
        }
    }
    Ok(())
}

/// The contents of a small file, whole.
pub(crate) fn small_of(id: u64, body: Body) -> Small {
    Small {
        id,
        ending: Ending::Whole,
        bytes: body.whole(),
    }
}

/// Reads a snapshot, or a part of it, and compares it with the tree that was stored.
pub(crate) async fn read_all(
    store: &dyn Store,
    selection: Selection,
    tree: &Tree,
) -> Result<Completeness, Mismatch> {
    match read_some(store, selection, tree).await? {
        (completeness, None) => Ok(completeness),
        (_, Some(path)) => Err(Mismatch::Different(format!("{path} is missing"))),
    }
}

/// The same where something may be left out: answers the path of something that was.
pub(crate) async fn read_some(
    store: &dyn Store,
    selection: Selection,
    tree: &Tree,
) -> Result<(Completeness, Option<String>), Mismatch> {
    let mut left_out = None;
    let mut reader = store.read(selection).await?;
    let mut entries = Vec::new();
    let expected = by_path(tree);
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        entries.extend(batch.iter().cloned());
        let paths = paths(&entries);
        let bodies: BTreeMap<u64, (Body, &[u8])> = batch
            .iter()
            .filter_map(|entry| {
                let path = &paths[&entry.id];
                let (_, body) = expected.get(path.as_slice())?;
                Some((entry.id, ((*body)?, path.as_slice())))
            })
            .collect();
        let omitted = expect_contents(&mut *reader, &batch, &bodies).await?;
        left_out = left_out.or(omitted);
    }
    let completeness = reader.finish().await?;
    let found = paths(&entries);
    for entry in &entries {
        let path = &found[&entry.id];
        let Some((stored, _)) = expected.get(path.as_slice()) else {
            let seen = format!("{} is there, and was not stored", shown(path));
            return Err(Mismatch::Different(seen));
        };
        if let Some(difference) = differs(stored, entry) {
            let seen = format!("{}: {difference}", shown(path));
            return Err(Mismatch::Different(seen));
        }
    }
    let there: BTreeSet<_> = found.values().map(Vec::as_slice).collect();
    let mut stored = expected.keys();
    let missing = stored.find(|path| !there.contains(path.as_slice()));
    Ok((completeness, left_out.or(missing.map(|path| shown(path)))))
}

/// The entries of a tree with their contents, by their paths.
fn by_path(tree: &Tree) -> BTreeMap<Vec<u8>, (&Entry, Option<Body>)> {
    let mut paths = paths(&tree.entries);
    let entries = tree.entries.iter();
    entries
        .map(|entry| {
            let path = paths.remove(&entry.id).expect("each has one");
            (path, (entry, tree.bodies.get(&entry.id).copied()))
        })
        .collect()
}

/// Fails unless the files of a batch have these contents. Answers the path of one whose contents are omitted.
async fn expect_contents(
    reader: &mut dyn Reader,
    batch: &[Entry],
    bodies: &BTreeMap<u64, (Body, &[u8])>,
) -> Result<Option<String>, Mismatch> {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut large = Vec::new();
    let mut left_out = None;
    for entry in batch {
        match entry.kind {
            Kind::File(Some(size)) if size <= SMALL => {
                group.push((entry.id, size));
                bytes += size;
                if bytes >= GROUP {
                    bytes = 0;
                    let files = std::mem::take(&mut group);
                    let omitted = expect_small(reader, files, bodies).await?;
                    left_out = left_out.or(omitted);
                }
            }
            Kind::File(size) => large.push((entry.id, size)),
            _ => {}
        }
    }
    if !group.is_empty() {
        let omitted = expect_small(reader, group, bodies).await?;
        left_out = left_out.or(omitted);
    }
    for (id, size) in large {
        if let Some((body, path)) = bodies.get(&id) {
            let omitted = expect_large(reader, (id, size), *body, path).await?;
            left_out = left_out.or(omitted);
        }
    }
    Ok(left_out)
}

async fn expect_small(
    reader: &mut dyn Reader,
    files: Vec<(u64, u64)>,
    bodies: &BTreeMap<u64, (Body, &[u8])>,
) -> Result<Option<String>, Mismatch> {
    let mut omitted = None;
    for small in reader.read_small(files).await? {
        let Some((body, path)) = bodies.get(&small.id) else {
            continue;
        };
        if small.ending == Ending::Omitted {
            omitted = Some(shown(path));
        } else if small.bytes != body.whole() {
            let seen = format!("{} has other contents than were stored", shown(path));
            return Err(Mismatch::Different(seen));
        }
    }
    Ok(omitted)
}

/// Fails unless a file has these contents. Answers its path if they are omitted.
pub(crate) async fn expect_large(
    reader: &dyn Reader,
    (id, size): (u64, Option<u64>),
    body: Body,
    path: &[u8],
) -> Result<Option<String>, Mismatch> {
    let mut offset = 0;
    let mut is_same = true;
    let mut compare = |piece: &[u8]| {
        is_same = is_same && body.bytes(offset, piece.len()) == piece;
        offset += piece.len() as u64;
        true
    };
    let ending = reader.read(id, size, None, &mut compare).await?;
    if ending == Ending::Omitted {
        return Ok(Some(shown(path)));
    }
    if !is_same || offset != body.length {
        let seen = format!(
            "{} has other contents than were stored: {offset} bytes, where it had {}",
            shown(path),
            body.length
        );
        return Err(Mismatch::Different(seen));
    }
    Ok(None)
}

/// What is not the same of an entry that was stored and one that was read, in words.
fn differs(stored: &Entry, read: &Entry) -> Option<String> {
    let same_kind = match (&stored.kind, &read.kind) {
        // A size that was not announced may be known by now.
        (Kind::File(None), Kind::File(_)) => true,
        (one, other) => one == other,
    };
    if !same_kind {
        return Some(format!("it was {:?} and is {:?}", stored.kind, read.kind));
    }
    let (one, other) = (&stored.metadata, &read.metadata);
    let fields = [
        ("mode", one.mode == other.mode),
        ("uid", one.uid == other.uid),
        ("gid", one.gid == other.gid),
        ("user", one.user == other.user),
        ("group", one.group == other.group),
        ("modified", one.modified == other.modified),
        ("accessed", one.accessed == other.accessed),
        ("changed", one.changed == other.changed),
        ("links", one.links == other.links),
        (
            "device and inode of a hard link",
            one.links < 2 || (one.device, one.inode) == (other.device, other.inode),
        ),
        ("xattrs", one.xattrs == other.xattrs),
    ];
    let (field, _) = fields.into_iter().find(|(_, is_same)| !is_same)?;
    Some(format!(
        "{field} is not what was stored: {one:?} was, and {other:?} came"
    ))
}
