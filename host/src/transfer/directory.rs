//! A tree into a directory.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::block_in_place;

use super::{Contents, Small, Writer};
use crate::error::{Error, Kind, Result};
use crate::event::{Events, Level};
use crate::operation::Receipt;
use crate::plugin::bindings::types::{self, Completeness, Ending, Entry, Metadata};
use crate::tree::{Object, Place, Shortfall, SparseFile, settle};

/// Writes a tree into a directory, over what is there.
pub(crate) struct DirectoryWriter {
    top: Arc<Place>,
    /// Where the top is, for messages.
    path: PathBuf,
    /// The directories that hold what comes next, outermost first.
    open: Vec<Directory>,
    /// Files that wait for their contents.
    waiting: HashMap<u64, Item>,
    /// What has to wait until the files of the batch are there, in its order.
    later: Vec<Later>,
    /// Where the first name of each file with several is, by its device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    receipt: Receipt,
    told: Shortfall,
    events: Arc<dyn Events>,
}

/// Something with its place.
struct Item {
    parent: Arc<Place>,
    name: OsString,
    /// Below the top.
    path: PathBuf,
    kind: types::Kind,
    metadata: Metadata,
}

struct Directory {
    id: u64,
    place: Arc<Place>,
    item: Item,
}

enum Later {
    /// Another name of a file that is there by then.
    Link { item: Item, first: PathBuf },
    /// The metadata of a directory: what happens in it changes its times.
    Settle(Directory),
}

impl DirectoryWriter {
    /// Writes into the directory at this path, which is created when it is missing.
    pub(crate) fn new(path: &Path, events: Arc<dyn Events>) -> Result<Self> {
        let top = std::fs::create_dir_all(path).and_then(|()| Place::top(path));
        Ok(Self {
            top: Arc::new(top.map_err(|cause| failed(path, &cause))?),
            path: path.to_owned(),
            open: Vec::new(),
            waiting: HashMap::new(),
            later: Vec::new(),
            linked: HashMap::new(),
            receipt: Receipt::default(),
            told: Shortfall::default(),
            events,
        })
    }

    /// Takes one entry; true when its contents are needed.
    fn take(&mut self, entry: &Entry) -> Result<bool> {
        self.leave_until(entry.parent);
        let item = self.item(entry);
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
                let place = item.parent.make(&item.name);
                let place = Arc::new(place.map_err(|cause| self.failed(&item, &cause))?);
                let id = entry.id;
                self.open.push(Directory { id, place, item });
            }
            types::Kind::Socket => {
                // Only the program that listens on it can make one that is of use.
                let text = format!("{} is a socket and was left out", self.at(&item).display());
                self.events.log("restore", Level::Info, &text);
            }
            _ => match item.special() {
                Ok(shortfall) => self.note(shortfall),
                Err(cause) if is_device(&item.kind) && is_privileged(&cause) => {
                    self.note(Shortfall {
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
                Later::Link { item, first } => self
                    .link(&item, &first)
                    .map_err(|cause| self.failed(&item, &cause))?,
                Later::Settle(Directory { place, item, .. }) => {
                    let settled = settle(
                        Object::Open(place.as_fd()),
                        &item.kind,
                        &item.metadata,
                        true,
                    );
                    self.note(settled.map_err(|cause| self.failed(&item, &cause))?);
                }
            }
        }
        Ok(())
    }

    fn link(&self, item: &Item, first: &Path) -> io::Result<()> {
        let above = first.parent().unwrap_or(Path::new(""));
        let place = self.top.walk(above)?;
        item.or_nothing(|| {
            let first = first.file_name().unwrap_or_default();
            item.parent.link(&place, first)?;
            item.parent.keep(&item.name)?;
            // Renaming does nothing, and succeeds, where both names are of one file already.
            item.parent.clear()
        })
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
        let written = item.begin().and_then(|mut file| {
            item.or_nothing(|| file.write(contents))?;
            item.complete(file)
        });
        self.receipt.bytes_total += contents.len() as u64;
        self.note(written.map_err(|cause| self.failed(&item, &cause))?);
        Ok(())
    }

    /// Says what was not permitted, once.
    fn note(&mut self, shortfall: Shortfall) {
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

impl Item {
    /// Makes what is neither file nor directory.
    fn special(&self) -> io::Result<Shortfall> {
        self.or_nothing(|| {
            let object = self.parent.special(&self.kind)?;
            let shortfall = self.settle(Object::Named(object.as_fd()))?;
            self.parent.keep(&self.name)?;
            Ok(shortfall)
        })
    }

    fn settle(&self, object: Object<'_>) -> io::Result<Shortfall> {
        let may_have_acls = self.parent.has_default_acl();
        settle(object, &self.kind, &self.metadata, may_have_acls)
    }

    fn begin(&self) -> io::Result<SparseFile> {
        self.parent.file().map(SparseFile::new)
    }

    fn complete(&self, file: SparseFile) -> io::Result<Shortfall> {
        self.or_nothing(|| {
            let shortfall = self.settle(Object::Open(file.finish()?.as_fd()))?;
            self.parent.keep(&self.name)?;
            Ok(shortfall)
        })
    }

    /// Makes it; what is left of it after an error is nothing that anybody asked for.
    fn or_nothing<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        make().inspect_err(|_| drop(self.parent.clear()))
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
            let mut file = item.begin().map_err(|cause| self.failed(&item, &cause))?;
            let write = async {
                while let Some(bytes) = contents.outlet.next().await {
                    block_in_place(|| file.write(&bytes))
                        .map_err(|cause| self.failed(&item, &cause))?;
                    self.receipt.bytes_total += bytes.len() as u64;
                }
                contents.verdict.await
            };
            let ending = write.await;
            if !matches!(ending, Ok(Ending::Whole)) {
                // What is left of it is no file that anybody asked for.
                let _ = item.parent.clear();
                return ending.map(drop);
            }
            let completed = block_in_place(|| item.complete(file));
            self.note(completed.map_err(|cause| self.failed(&item, &cause))?);
            Ok(())
        }
        .boxed()
    }

    fn commit(mut self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move {
            self.leave_until(0);
            block_in_place(|| self.catch_up())?;
            Ok(self.receipt)
        }
        .boxed()
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

fn failed(path: &Path, cause: &io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Other,
    };
    Error::new(
        kind,
        format!("{} cannot be restored: {cause}", path.display()),
    )
}
