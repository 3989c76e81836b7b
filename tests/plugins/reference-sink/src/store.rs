//! What is in the directory: `id` says which store it is, `objects/` holds contents by their checksums, `snapshots/` one file
//! for each snapshot, by its checksum too.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::bindings::tthost::backup::seal::Digester;
use crate::bindings::tthost::backup::types::{Entry, Error, Instant, Kind, Metadata, Xattr};
use crate::fault;

/// Where the host puts the granted directory.
pub(crate) const STORE: &str = "/store";

/// A snapshot as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) tags: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) complete: bool,
    /// What tells it from others of the same tree.
    pub(crate) nonce: u64,
    pub(crate) nodes: Vec<Node>,
}

/// An entry as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) kind: NodeKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) modified: (i64, u32),
    pub(crate) accessed: Option<(i64, u32)>,
    pub(crate) changed: Option<(i64, u32)>,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) links: u64,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is. A file names its contents and their length.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum NodeKind {
    File(String, u64),
    Directory,
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    Character(u64),
    Block(u64),
}

fn told(time: (i64, u32)) -> Instant {
    Instant {
        seconds: time.0,
        nanoseconds: time.1,
    }
}

fn kept(time: Instant) -> (i64, u32) {
    if fault::is("times-in-seconds") {
        return (time.seconds, 0);
    }
    if fault::is("no-times-before-1970") {
        return (time.seconds.max(0), time.nanoseconds);
    }
    if fault::is("times-in-32-bits") {
        return (time.seconds.min(i64::from(u32::MAX)), time.nanoseconds);
    }
    (time.seconds, time.nanoseconds)
}

impl Node {
    /// The entry, with its contents where it is a file.
    pub(crate) fn of(entry: Entry, contents: Option<(String, u64)>) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned().into_bytes();
        let kind = match entry.kind {
            Kind::File(_) => {
                let (hash, length) = contents.unwrap_or_default();
                NodeKind::File(hash, length)
            }
            Kind::Directory => NodeKind::Directory,
            Kind::Symlink(_) if fault::is("follows-symlinks") => NodeKind::Directory,
            Kind::Symlink(target) if fault::is("targets-are-text") => {
                NodeKind::Symlink(text(target))
            }
            Kind::Symlink(target) => NodeKind::Symlink(target),
            Kind::Fifo => NodeKind::Fifo,
            Kind::Socket => NodeKind::Socket,
            Kind::CharacterDevice(number) if fault::is("small-device-numbers") => {
                NodeKind::Character(number & 0xffff)
            }
            Kind::CharacterDevice(number) => NodeKind::Character(number),
            Kind::BlockDevice(number) => NodeKind::Block(number),
        };
        let metadata = entry.metadata;
        let xattrs = metadata.xattrs.into_iter();
        let mut node = Self {
            id: entry.id,
            parent: entry.parent,
            name: entry.name,
            kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            user: metadata.user,
            group: metadata.group,
            modified: kept(metadata.modified),
            accessed: metadata.accessed.map(kept),
            changed: metadata.changed.map(kept),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: xattrs.map(|xattr| (xattr.name, xattr.value)).collect(),
        };
        node.spoil(text);
        node
    }

    fn spoil(&mut self, text: impl Fn(Vec<u8>) -> Vec<u8>) {
        if fault::is("names-are-text") {
            self.name = text(std::mem::take(&mut self.name));
        }
        if fault::is("names-are-lower-case") {
            self.name.make_ascii_lowercase();
        }
        if fault::is("plain-rights") {
            self.mode &= 0o777;
        }
        if fault::is("small-owners") {
            self.uid &= 0xffff;
        }
        if fault::is("forgets-owners-names") {
            self.user = None;
        }
        if fault::is("forgets-accesses") {
            self.accessed = None;
        }
        if fault::is("forgets-hard-links") {
            self.links = 1;
        }
        if fault::is("loses-inodes") {
            self.inode = self.id;
        }
        if fault::is("loses-xattrs") {
            self.xattrs.clear();
        }
        if fault::is("sorts-xattrs") {
            self.xattrs.sort();
        }
    }

    /// As it is read, with the numbers of a tree.
    pub(crate) fn entry(&self, id: u64, parent: u64, subtree: Option<Vec<u8>>) -> Entry {
        let kind = match &self.kind {
            NodeKind::File(_, length) => Kind::File(Some(*length)),
            NodeKind::Directory => Kind::Directory,
            NodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            NodeKind::Fifo => Kind::Fifo,
            NodeKind::Socket => Kind::Socket,
            NodeKind::Character(number) => Kind::CharacterDevice(*number),
            NodeKind::Block(number) => Kind::BlockDevice(*number),
        };
        let xattrs = self.xattrs.iter().cloned();
        Entry {
            id,
            parent,
            name: self.name.clone(),
            kind,
            metadata: Metadata {
                mode: self.mode,
                uid: self.uid,
                gid: self.gid,
                user: self.user.clone(),
                group: self.group.clone(),
                modified: told(self.modified),
                accessed: self.accessed.map(told),
                changed: self.changed.map(told),
                device: self.device,
                inode: self.inode,
                links: self.links,
                xattrs: xattrs.map(|(name, value)| Xattr { name, value }).collect(),
            },
            subtree,
        }
    }
}

/// A number that no other has.
pub(crate) fn nonce() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A digest of contents, which the host computes: there can be gigabytes.
fn digester() -> Result<Digester, Error> {
    Digester::begin("sha-256")
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What a failed access means.
pub(crate) fn error(what: &str, cause: &io::Error) -> Error {
    let text = format!("{what}: {cause}");
    match cause.kind() {
        _ if fault::is("read-only-is-other") => Error::Other(text),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::ReadOnly(text),
        ErrorKind::NotFound => Error::Corrupt(text),
        ErrorKind::StorageFull => Error::NoSpace(text),
        _ => Error::Other(text),
    }
}

/// Writes a file of the store so that it is whole or not there.
pub(crate) fn write(name: &str, bytes: &[u8]) -> Result<(), Error> {
    let written = (|| {
        let partial = format!("{STORE}/partial/{}", nonce());
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, format!("{STORE}/{name}"))
    })();
    match written {
        Err(_) if fault::is("stores-anyway") => Ok(()),
        written => written.map_err(|cause| error(name, &cause)),
    }
}

pub(crate) fn read(name: &str) -> Result<Vec<u8>, Error> {
    fs::read(format!("{STORE}/{name}")).map_err(|cause| error(name, &cause))
}

pub(crate) fn names(directory: &str) -> Result<BTreeSet<String>, Error> {
    let list = || -> io::Result<BTreeSet<String>> {
        let entries = fs::read_dir(format!("{STORE}/{directory}"))?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    list().map_err(|cause| error(directory, &cause))
}

pub(crate) fn remove(name: &str) -> Result<(), Error> {
    fs::remove_file(format!("{STORE}/{name}")).map_err(|cause| error(name, &cause))
}

/// Makes a store.
pub(crate) fn create() -> Result<(), Error> {
    let make = || -> io::Result<()> {
        for directory in ["objects", "snapshots", "partial"] {
            fs::create_dir_all(format!("{STORE}/{directory}"))?;
        }
        Ok(())
    };
    make().map_err(|cause| error("the store", &cause))?;
    let id = hash(&nonce().to_le_bytes());
    write("id", format!("{id} {}", hash(id.as_bytes())).as_bytes())
}

pub(crate) fn is_there() -> bool {
    fs::exists(format!("{STORE}/id")).unwrap_or(false)
}

/// The store's own id.
pub(crate) fn identity() -> Result<String, Error> {
    let text = String::from_utf8(read("id")?).unwrap_or_default();
    match text.split_once(' ') {
        Some((id, sum)) if sum == hash(id.as_bytes()) => Ok(id.to_owned()),
        _ => Err(Error::Corrupt("the file id is damaged".into())),
    }
}

/// The ids of all snapshots.
pub(crate) fn ids() -> Result<BTreeSet<String>, Error> {
    names("snapshots")
}

/// A snapshot by its whole id.
pub(crate) fn record(id: &str) -> Result<Record, Error> {
    let bytes = read(&format!("snapshots/{id}"))?;
    let damaged = |cause: &str| Error::Corrupt(format!("the snapshot {id} is damaged: {cause}"));
    let is_whole = hash(&bytes) == id || fault::is("id-of-contents");
    if !is_whole && !fault::is("ids-with-spaces") {
        return Err(damaged("it has another checksum"));
    }
    serde_json::from_slice(&bytes).map_err(|cause| damaged(&cause.to_string()))
}

/// Stores a snapshot, and answers its id.
pub(crate) fn keep(record: &Record) -> Result<String, Error> {
    let bytes = serde_json::to_vec(record).map_err(|cause| Error::Other(cause.to_string()))?;
    let mut id = hash(&bytes);
    if fault::is("id-of-contents") {
        let names: Vec<_> = record.nodes.iter().map(|node| &node.name).collect();
        id = hash(format!("{names:?}").as_bytes());
    }
    if fault::is("ids-with-spaces") {
        id = format!("snapshot {}", &id[..8]);
    }
    write(&format!("snapshots/{id}"), &bytes)?;
    Ok(id)
}

/// Contents on their way into the store.
pub(crate) struct Incoming {
    partial: String,
    file: Option<File>,
    digester: Digester,
    length: u64,
    /// For a fault: all that came.
    hoard: Vec<u8>,
}

impl Incoming {
    /// Starts contents; those of a dry run are only counted.
    pub(crate) fn begin(dry_run: bool) -> Result<Self, Error> {
        let name = if fault::is("one-buffer") { 0 } else { nonce() };
        let partial = format!("partial/{name}");
        let file = if dry_run && !fault::is("dry-run-writes") {
            None
        } else {
            match File::create(format!("{STORE}/{partial}")) {
                Err(_) if fault::is("stores-anyway") => None,
                file => Some(file.map_err(|cause| error("the contents", &cause))?),
            }
        };
        Ok(Self {
            partial,
            file,
            digester: digester()?,
            length: 0,
            hoard: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.digester.update(bytes);
        self.length += bytes.len() as u64;
        if fault::is("keeps-contents-in-memory") {
            self.hoard.extend_from_slice(bytes);
        }
        if let Some(file) = &mut self.file {
            let written = file.write_all(bytes);
            written.map_err(|cause| error("the contents", &cause))?;
        }
        Ok(())
    }

    /// All of it came: its name and length.
    pub(crate) fn finish(mut self, number: u64) -> Result<(String, u64), Error> {
        let digester = std::mem::replace(&mut self.digester, digester()?);
        let mut hash = hex::encode(Digester::finish(digester));
        if fault::is("contents-by-number") {
            hash = format!("{number:064x}");
        }
        if let Some(file) = self.file.take() {
            let kept = file.sync_all().and_then(|()| {
                let from = format!("{STORE}/{}", self.partial);
                fs::rename(from, format!("{STORE}/objects/{hash}"))
            });
            kept.map_err(|cause| error("the contents", &cause))?;
        }
        Ok((hash, self.length))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It may not be there any more.
            let _ = remove(&self.partial);
        }
    }
}

/// Contents on their way out of the store.
pub(crate) struct Outgoing {
    name: String,
    file: File,
    digester: Digester,
}

impl Outgoing {
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let file = File::open(format!("{STORE}/objects/{name}"));
        Ok(Self {
            name: name.to_owned(),
            file: file.map_err(|cause| error("contents", &cause))?,
            digester: digester()?,
        })
    }

    /// The next bytes, none at the end.
    pub(crate) fn next(&mut self) -> Result<Vec<u8>, Error> {
        let mut piece = vec![0; 1 << 16];
        let read = self.file.read(&mut piece);
        let length = read.map_err(|cause| error("contents", &cause))?;
        piece.truncate(length);
        self.digester.update(&piece);
        Ok(piece)
    }

    /// Whether they were what was stored.
    pub(crate) fn verify(self) -> Result<(), Error> {
        let is_right = hex::encode(Digester::finish(self.digester)) == self.name;
        let unlooked = ["reads-damage", "contents-by-number", "one-buffer"];
        if is_right || unlooked.iter().any(|name| fault::is(name)) {
            return Ok(());
        }
        assert!(!fault::is("damage-traps"), "contents are damaged");
        Err(Error::Corrupt(format!(
            "the contents {} are damaged",
            self.name
        )))
    }
}

/// All of some contents, verified.
pub(crate) fn contents(name: &str) -> Result<Vec<u8>, Error> {
    let mut outgoing = Outgoing::open(name)?;
    let mut all = Vec::new();
    loop {
        let piece = outgoing.next()?;
        if piece.is_empty() {
            outgoing.verify()?;
            return Ok(all);
        }
        all.extend(piece);
    }
}

/// The length of some contents.
pub(crate) fn length(name: &str) -> Result<u64, Error> {
    let metadata = fs::metadata(format!("{STORE}/objects/{name}"));
    Ok(metadata.map_err(|cause| error("contents", &cause))?.len())
}

/// For faults that need somebody to come in between.
pub(crate) fn dawdle() {
    std::thread::sleep(Duration::from_millis(300));
}
