//! A tree into a directory.

mod item;
mod plan;
mod proof;

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustix::fs::FileType;
use tokio::task::block_in_place;
use tthost_seal::Digester;

use super::{Contents, Small, Writer};
use crate::error::{Error, Kind, Result};
use crate::event::{Events, Level};
use crate::operation::Receipt;
use crate::plugin::bindings::types::{self, Completeness, Ending, Entry, Metadata};
use crate::tree::{Before, Object, Place, Shortfall, settle};
use item::{Item, Made};
use proof::Proofs;

pub(crate) use plan::Plan;

/// How a tree is written into a directory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Remove what is there and not in the tree.
    pub(crate) delete: bool,
    /// Read every file back.
    pub(crate) verify: bool,
}

/// Writes a tree into a directory, over what is there.
pub(crate) struct DirectoryWriter {
    top: Arc<Place>,
    /// Where the top is, for messages.
    path: PathBuf,
    manner: Manner,
    /// What the tree has at the top, where that is of interest.
    names: HashSet<OsString>,
    /// The directories that hold what comes next, outermost first.
    open: Vec<Directory>,
    /// Files that wait for their contents.
    waiting: HashMap<u64, Item>,
    /// What has to wait until the files of the batch are there, in its order.
    later: Vec<Later>,
    /// Where the first name of each file with several is, by its device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    proofs: Proofs,
    receipt: Receipt,
    told: Shortfall,
    events: Arc<dyn Events>,
}

struct Directory {
    id: u64,
    place: Arc<Place>,
    item: Item,
    /// What the tree has in it, where that is of interest.
    names: HashSet<OsString>,
}

enum Later {
    /// Another name of a file that is there by then.
    Link { item: Item, first: PathBuf },
    /// The metadata of a directory: what happens in it changes its times.
    Settle(Directory),
}

impl DirectoryWriter {
    /// Writes into this directory, which has that path in messages.
    pub(crate) fn new(top: Place, path: &Path, manner: Manner, events: Arc<dyn Events>) -> Self {
        Self {
            top: Arc::new(top),
            path: path.to_owned(),
            manner,
            names: HashSet::new(),
            open: Vec::new(),
            waiting: HashMap::new(),
            later: Vec::new(),
            linked: HashMap::new(),
            proofs: Proofs::default(),
            receipt: Receipt::default(),
            told: Shortfall::default(),
            events,
        }
    }

    /// Takes one entry; true when its contents are needed.
    fn take(&mut self, entry: &Entry) -> Result<bool> {
        self.leave_until(entry.parent);
        let item = self.item(entry);
        if self.manner.delete {
            let names = match self.open.last_mut() {
                Some(directory) => &mut directory.names,
                None => &mut self.names,
            };
            names.insert(item.name.clone());
            let cleared = self.clear_the_way(&item);
            cleared.map_err(|cause| self.failed(&item, &cause))?;
        }
        match entry.kind {
            types::Kind::File(_) => {
                self.receipt.files_total += 1;
                if let Some(first) = self.first_name(&item) {
                    self.later.push(Later::Link { item, first });
                    return Ok(false);
                }
                self.waiting.insert(entry.id, item);
                return Ok(true);
            }
            types::Kind::Directory => {
                let made = item.parent.make(&item.name);
                let (place, before) = made.map_err(|cause| self.failed(&item, &cause))?;
                self.count(before);
                self.open.push(Directory {
                    id: entry.id,
                    place: Arc::new(place),
                    item,
                    names: HashSet::new(),
                });
            }
            types::Kind::Socket => {
                // Only the program that listens on it can make one that is of use.
                let text = format!("{} is a socket and was left out", self.at(&item).display());
                self.events.log("restore", Level::Info, &text);
            }
            _ => match item.special() {
                Ok(made) => self.note(&made),
                Err(cause) if is_device(&item.kind) && is_privileged(&cause) => {
                    self.tell(Shortfall {
                        existence: true,
                        ..Shortfall::default()
                    });
                }
                Err(cause) => return Err(self.failed(&item, &cause)),
            },
        }
        Ok(false)
    }

    fn item(&self, entry: &Entry) -> Item {
        let (parent, above) = match self.open.last() {
            Some(directory) => (directory.place.clone(), directory.item.path.as_path()),
            None => (self.top.clone(), Path::new("")),
        };
        let name = OsStr::from_bytes(&entry.name);
        Item {
            parent,
            path: above.join(name),
            name: name.into(),
            kind: entry.kind.clone(),
            metadata: entry.metadata.clone(),
        }
    }

    /// Removes a directory where something else belongs, and something else where a directory
    /// does. All else is replaced by renaming.
    fn clear_the_way(&mut self, item: &Item) -> io::Result<()> {
        let Some(found) = item.parent.look(&item.name)? else {
            return Ok(());
        };
        let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if is_directory != matches!(item.kind, types::Kind::Directory) {
            self.receipt.removed += item.parent.remove(&item.name)?;
        }
        Ok(())
    }

    /// The name under which this file came before; if it is the first, it is kept in mind.
    fn first_name(&mut self, item: &Item) -> Option<PathBuf> {
        let Metadata {
            device,
            inode,
            links,
            ..
        } = item.metadata;
        if links < 2 || inode == 0 {
            return None;
        }
        let first = self.linked.get(&(device, inode)).cloned();
        if first.is_none() {
            self.linked.insert((device, inode), item.path.clone());
        }
        first
    }

    /// Leaves the directories that do not hold what comes next.
    fn leave_until(&mut self, parent: u64) {
        while let Some(directory) = self.open.pop_if(|directory| directory.id != parent) {
            self.later.push(Later::Settle(directory));
        }
    }

    /// Does what waited for the files of the batch.
    fn catch_up(&mut self) -> Result<()> {
        for later in std::mem::take(&mut self.later) {
            match later {
                Later::Link { item, first } => {
                    let linked = item.link(&self.top, &first);
                    self.count(linked.map_err(|cause| self.failed(&item, &cause))?);
                }
                Later::Settle(Directory {
                    place, item, names, ..
                }) => {
                    let settled = self.tidy(&place, &names).and_then(|()| {
                        let object = Object::Open(place.as_fd());
                        settle(object, &item.kind, &item.metadata, true)
                    });
                    self.tell(settled.map_err(|cause| self.failed(&item, &cause))?);
                }
            }
        }
        Ok(())
    }

    /// Removes what the tree does not have from a directory of which all came.
    fn tidy(&mut self, place: &Place, names: &HashSet<OsString>) -> io::Result<()> {
        if !self.manner.delete {
            return Ok(());
        }
        for name in place.names()? {
            if !names.contains(&name) {
                self.receipt.removed += place.remove(&name)?;
            }
        }
        Ok(())
    }

    /// All of the tree came: does what is left to do, and gives the top this metadata.
    pub(crate) fn complete(mut self, metadata: Option<&Metadata>) -> Result<Receipt> {
        self.leave_until(0);
        self.catch_up()?;
        let top = self.top.clone();
        let names = std::mem::take(&mut self.names);
        let settled = self.tidy(&top, &names).and_then(|()| match metadata {
            Some(metadata) => settle(
                Object::Open(top.as_fd()),
                &types::Kind::Directory,
                metadata,
                true,
            ),
            None => Ok(Shortfall::default()),
        });
        self.tell(settled.map_err(|cause| failed(&self.path, &cause))?);
        if let Some((path, cause)) = self.proofs.refute(&top) {
            let path = self.path.join(path);
            return Err(Error::new(
                Kind::Corrupt,
                format!("{} cannot be verified: {cause}", path.display()),
            ));
        }
        Ok(self.receipt)
    }

    fn expect(&mut self, id: u64) -> Result<Item> {
        self.waiting.remove(&id).ok_or_else(|| {
            Error::new(
                Kind::Plugin,
                format!("contents came for entry {id}, which needs none"),
            )
        })
    }

    fn put_whole(&mut self, id: u64, contents: &[u8]) -> Result<()> {
        let item = self.expect(id)?;
        let made = item.whole(contents);
        self.note(&made.map_err(|cause| self.failed(&item, &cause))?);
        self.receipt.bytes_total += contents.len() as u64;
        if self.manner.verify {
            self.proofs.add(&item.path, tthost_seal::digest(contents));
        }
        Ok(())
    }

    /// Takes contents as they come, until their verdict; and what proves that they are there.
    async fn put_stream(&mut self, item: &Item, contents: Contents) -> Result<Ending> {
        let mut file = item.begin().map_err(|cause| self.failed(item, &cause))?;
        let mut digester = self.manner.verify.then(Digester::new);
        let take = async {
            while let Some(bytes) = contents.outlet.next().await {
                block_in_place(|| file.write(&bytes)).map_err(|cause| self.failed(item, &cause))?;
                self.receipt.bytes_total += bytes.len() as u64;
                if let Some(digester) = &mut digester {
                    digester.update(&bytes);
                }
            }
            contents.verdict.await
        };
        let ending = take.await;
        if !matches!(ending, Ok(Ending::Whole)) {
            item.give_up();
            return ending;
        }
        let made = block_in_place(|| item.complete(file));
        self.note(&made.map_err(|cause| self.failed(item, &cause))?);
        if let Some(digester) = digester {
            self.proofs.add(&item.path, digester.finish());
        }
        ending
    }

    fn note(&mut self, made: &Made) {
        self.count(made.before);
        self.tell(made.shortfall);
    }

    fn count(&mut self, before: Before) {
        match before {
            Before::Nothing => self.receipt.files_new += 1,
            Before::Something => self.receipt.files_changed += 1,
        }
    }

    /// Says what was not permitted, once.
    fn tell(&mut self, shortfall: Shortfall) {
        if shortfall.owner && !std::mem::replace(&mut self.told.owner, true) {
            let text = "files belong to you and not to their owners, which only root may set";
            self.events.log("restore", Level::Warn, text);
        }
        if shortfall.existence && !std::mem::replace(&mut self.told.existence, true) {
            let text = "devices were left out, which only root may make";
            self.events.log("restore", Level::Warn, text);
        }
        if shortfall.attributes && !std::mem::replace(&mut self.told.attributes, true) {
            let text = "some extended attributes were left out: the system or the file system permits them not";
            self.events.log("restore", Level::Warn, text);
        }
    }

    fn at(&self, item: &Item) -> PathBuf {
        self.path.join(&item.path)
    }

    fn failed(&self, item: &Item, cause: &io::Error) -> Error {
        failed(&self.at(item), cause)
    }
}

impl Writer for DirectoryWriter {
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            block_in_place(|| {
                self.catch_up()?;
                let mut needs = HashSet::new();
                for entry in &*entries {
                    if self.take(entry)? {
                        needs.insert(entry.id);
                    }
                }
                Ok(needs)
            })
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<Small>) -> BoxFuture<'_, Result<()>> {
        async move {
            block_in_place(|| {
                files.iter().try_for_each(|(id, contents)| match contents {
                    Some(contents) => self.put_whole(*id, contents),
                    None => self.expect(*id).map(drop),
                })
            })
        }
        .boxed()
    }

    fn put(&mut self, id: u64, contents: Contents) -> BoxFuture<'_, Result<()>> {
        async move {
            let item = self.expect(id)?;
            self.put_stream(&item, contents).await.map(drop)
        }
        .boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move { block_in_place(|| self.complete(None)) }.boxed()
    }
}

fn is_device(kind: &types::Kind) -> bool {
    matches!(
        kind,
        types::Kind::CharacterDevice(_) | types::Kind::BlockDevice(_)
    )
}

/// Whether only root may do it, wherever.
fn is_privileged(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())
}

/// The error of something that cannot be restored.
pub(crate) fn failed(path: &Path, cause: &io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Other,
    };
    let error = Error::new(
        kind,
        format!("{} cannot be restored: {cause}", path.display()),
    );
    match cause.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => error
            .help("--delete removes what stands in the way of what is restored, and all else that is not in the snapshot"),
        _ => error,
    }
}
