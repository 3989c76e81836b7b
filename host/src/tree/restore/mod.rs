//! Restores a tree into a directory.
//!
//! | module | holds |
//! |---|---|
//! | here | the writer: what is made when, and what has to wait |
//! | `item` | one entry on its way to its place |
//! | `hands` | the threads that make small files |
//! | `large` | the thread that writes a large file |
//! | `ledger` | what became of the entries |
//! | `place` | where something is |
//! | `dry_run` | what the writer would change |
//! | verifies written files |

mod dry_run;
mod item;
mod large;
mod ledger;
mod place;
mod proof;
#[cfg(test)]
mod tests;
mod workers;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::block_in_place;
use tracing::{error, info, warn};

use super::metadata::{Object, Shortfall, apply};
use super::target_dir::{Previous, TargetDir};
use crate::contract::{Ending, Entry, EntryKind, Metadata, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, Leftover, NoteGuard};
use crate::pipe::Content;
use crate::text::printable;
use item::Item;
use large::{Writing, Written};
use ledger::Ledger;
use place::Place;
use workers::{FinishedDirectory, Workers, remove_extra};

pub(crate) use dry_run::DryRun;
pub(crate) use ledger::failed;

/// How a tree is written into a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Remove what is there and not in the tree.
    pub delete: bool,
    /// Read every file back.
    pub verify: bool,
}

/// Writes a tree into a directory, over what is there.
pub(crate) struct TreeWriter {
    root: Arc<TargetDir>,
    /// Where the root is, for messages.
    path: PathBuf,
    options: RestoreOptions,
    /// What the tree has at its root, where that is of interest.
    names: HashSet<OsString>,
    /// The directories that hold what comes next, outermost first.
    open: Vec<Directory>,
    /// What has to wait until the files of the batch are there, in its order.
    deferred: Vec<Deferred>,
    /// Where the first name of each file with several is, by its device and inode.
    linked: HashMap<(u64, u64), Place>,
    /// Files that wait for their contents.
    waiting: Mutex<HashMap<u64, Item>>,
    ledger: Arc<Ledger>,
    /// Dropped before what notes that there may be incomplete files.
    workers: Workers,
    /// Directories that got a thread.
    handed: usize,
    /// Dropped last: what else is dropped may be incomplete files.
    _unfinished: Unfinished,
}

struct Directory {
    id: u64,
    /// None where it could not be made; nothing below it can then.
    made: Option<MadeDirectory>,
    /// What the tree has in it, where that is of interest.
    names: HashSet<OsString>,
}

struct MadeDirectory {
    place: Arc<TargetDir>,
    item: Item,
    /// The thread that makes what is in it.
    worker: usize,
}

enum Deferred {
    /// Another name of a file that is there by then.
    Link { item: Item, first: Place },
    /// The metadata of a directory: what happens in it changes its times.
    Finish(Directory),
}

impl TreeWriter {
    /// Writes into this directory, which has that path in messages.
    pub(crate) fn new(
        root: TargetDir,
        path: &Path,
        options: RestoreOptions,
        journal: &Journal,
    ) -> Self {
        let root = Arc::new(root);
        let ledger = Arc::new(Ledger::new(path));
        Self {
            _unfinished: Unfinished::note(root.clone(), path, journal),
            root,
            path: path.to_owned(),
            options,
            names: HashSet::new(),
            open: Vec::new(),
            deferred: Vec::new(),
            linked: HashMap::new(),
            waiting: Mutex::default(),
            workers: Workers::new(ledger.clone(), options),
            handed: 0,
            ledger,
        }
    }

    /// Takes the next entries and answers the numbers of those whose contents it needs. May wait for
    /// a disk, like all that follows.
    pub(crate) fn offer(&mut self, entries: &[Entry]) -> Result<HashSet<u64>> {
        self.ledger.check()?;
        self.expect_nothing()?;
        self.catch_up()?;
        let mut needs = HashSet::new();
        for entry in entries {
            if self.take(entry)? {
                needs.insert(entry.id);
            }
        }
        Ok(needs)
    }

    /// Takes small contents, whole. They are written later, and by then something can be wrong with a later call.
    pub(crate) fn put_small(&self, files: &[SmallFile]) -> Result<()> {
        self.ledger.check()?;
        let mut handed: Vec<(usize, Vec<_>)> = Vec::new();
        for file in files {
            let item = self.expect(file.id)?;
            let Some(contents) = file.contents() else {
                continue;
            };
            let worker = item.worker;
            let made = (item, contents.clone());
            match handed.last_mut() {
                Some((last, files)) if *last == worker => files.push(made),
                _ => handed.push((worker, vec![made])),
            }
        }
        let mut handed = handed.into_iter();
        handed.try_for_each(|(worker, files)| self.workers.make(worker, files))
    }

    /// Takes the contents of one file, and waits for their verdict.
    pub(crate) async fn put(&self, id: u64, content: Content) -> Result<()> {
        let item = self.expect(id)?;
        self.put_stream(&item, content).await
    }

    /// Takes one entry; true when its contents are needed.
    fn take(&mut self, entry: &Entry) -> Result<bool> {
        self.end_directories_until(entry.parent);
        let Some(item) = self.item(entry) else {
            self.ledger.count(|receipt| receipt.failed += 1);
            if entry.kind == EntryKind::Directory {
                self.enter(entry, None);
            }
            return Ok(false);
        };
        if self.options.delete {
            let names = match self.open.last_mut() {
                Some(directory) => &mut directory.names,
                None => &mut self.names,
            };
            names.insert(item.name.clone());
            if let Err(cause) = self.clear_the_way(&item) {
                self.ledger.omit(&item, &cause)?;
            }
        }
        match entry.kind {
            EntryKind::File(_) => {
                self.ledger.count(|receipt| receipt.files_total += 1);
                if let Some(first) = self.first_name(&item) {
                    self.deferred.push(Deferred::Link { item, first });
                    return Ok(false);
                }
                self.waiting().insert(entry.id, item);
                return Ok(true);
            }
            EntryKind::Directory => {
                let made = match item.parent.make(&item.name) {
                    Ok((place, before)) => {
                        if before == Previous::Present {
                            place.permit_owner();
                        }
                        self.ledger.count_created(before);
                        self.handed += 1;
                        Some(MadeDirectory {
                            place: Arc::new(place),
                            item,
                            worker: self.handed,
                        })
                    }
                    Err(cause) => {
                        self.ledger.omit(&item, &cause)?;
                        None
                    }
                };
                self.enter(entry, made);
            }
            EntryKind::Socket => {
                // Only the program that listens on it can make one that is of use.
                info!(
                    subject = "restore",
                    "{} is a socket and was left out",
                    printable(&self.path.join(item.at.path()).to_string_lossy())
                );
            }
            _ => match item.special() {
                Ok(made) => self.ledger.note(&made),
                Err(cause) if is_device(&item.kind) && is_privileged(&cause) => {
                    self.ledger.record_shortfall(Shortfall {
                        existence: true,
                        ..Shortfall::default()
                    });
                }
                Err(cause) => self.ledger.omit(&item, &cause)?,
            },
        }
        Ok(false)
    }

    fn enter(&mut self, entry: &Entry, made: Option<MadeDirectory>) {
        self.open.push(Directory {
            id: entry.id,
            made,
            names: HashSet::new(),
        });
    }

    /// An entry with its place; none below a directory that could not be made.
    fn item(&self, entry: &Entry) -> Option<Item> {
        let (parent, above, worker) = match self.open.last() {
            Some(directory) => {
                let made = directory.made.as_ref()?;
                (made.place.clone(), made.item.at.clone(), made.worker)
            }
            None => (self.root.clone(), Place::default(), 0),
        };
        let name = entry.name.as_os_str();
        Some(Item {
            worker,
            parent,
            at: above.below(name),
            name: name.into(),
            kind: entry.kind.clone(),
            metadata: entry.metadata.clone(),
        })
    }

    /// Removes a directory where something else belongs, and something else where a directory
    /// does. All else is replaced by renaming.
    fn clear_the_way(&self, item: &Item) -> io::Result<()> {
        let Some(found) = item.parent.stat(&item.name)? else {
            return Ok(());
        };
        if found.is_dir() != matches!(item.kind, EntryKind::Directory) {
            let removed = item.parent.remove(&item.name)?;
            self.ledger.count(|receipt| receipt.removed += removed);
        }
        Ok(())
    }

    /// The name under which this file came before; if it is the first, it is kept in mind.
    fn first_name(&mut self, item: &Item) -> Option<Place> {
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
            self.linked.insert((device, inode), item.at.clone());
        }
        first
    }

    /// Leaves the directories that do not hold what comes next.
    fn end_directories_until(&mut self, parent: u64) {
        while let Some(directory) = self.open.pop_if(|directory| directory.id != parent) {
            self.deferred.push(Deferred::Finish(directory));
        }
    }

    /// Does what waited for the files of the batch.
    fn catch_up(&mut self) -> Result<()> {
        let deferred = std::mem::take(&mut self.deferred);
        if deferred
            .iter()
            .any(|deferred| matches!(deferred, Deferred::Link { .. }))
        {
            self.workers.wait()?;
        }
        for deferred in deferred {
            match deferred {
                Deferred::Link { item, first } => match item.link(&self.root, &first.path()) {
                    Ok(before) => self.ledger.count_created(before),
                    Err(cause) => self.ledger.omit(&item, &cause)?,
                },
                Deferred::Finish(Directory { made, names, .. }) => {
                    if let Some(MadeDirectory {
                        place,
                        item,
                        worker,
                    }) = made
                    {
                        let directory = FinishedDirectory { place, item, names };
                        self.workers.finish_directory(worker, Box::new(directory))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All of the tree came: does what is left to do, and gives the root this metadata.
    pub(crate) fn complete(mut self, metadata: Option<&Metadata>) -> Result<Receipt> {
        self.ledger.check()?;
        self.expect_nothing()?;
        self.end_directories_until(0);
        self.catch_up()?;
        self.workers.finish()?;
        let root = &*self.root;
        let failed = |cause: &io::Error| self.ledger.failed(Path::new(""), cause);
        if self.options.delete
            && let Err(cause) = remove_extra(&self.ledger, root, &self.names)
        {
            self.ledger.count(|receipt| receipt.failed += 1);
            let error = failed(&cause);
            error!(subject = "restore", "{error:#}");
        }
        let applied = match metadata {
            Some(metadata) => apply(
                Object::Open(root.as_fd()),
                &EntryKind::Directory,
                metadata,
                true,
            ),
            None => Ok(Shortfall::default()),
        };
        self.ledger
            .record_shortfall(applied.map_err(|cause| failed(&cause))?);
        // What is said to be restored is there after a loss of power.
        rustix::fs::syncfs(root).map_err(|cause| failed(&cause.into()))?;
        self.ledger.close(root)
    }

    /// The error of whoever goes on without the contents that were asked for: files would be missing, and nobody would say so.
    fn expect_nothing(&self) -> Result<()> {
        let waiting = self.waiting();
        let Some(id) = waiting.keys().min() else {
            return Ok(());
        };
        let text = match waiting.len() {
            1 => format!("the contents of entry {id} never came"),
            several => format!("the contents of {several} entries never came: entry {id}, …"),
        };
        Err(Error::new(Kind::Plugin, text))
    }

    fn expect(&self, id: u64) -> Result<Item> {
        self.waiting().remove(&id).ok_or_else(|| {
            Error::new(
                Kind::Plugin,
                format!("contents came for entry {id}, which needs none"),
            )
        })
    }

    /// Takes contents as they come, until their verdict; and what proves that they are there.
    async fn put_stream(&self, item: &Item, content: Content) -> Result<()> {
        let writing = Writing::begin(item, self.ledger.clone(), self.options.verify);
        while let Some(bytes) = content.bytes.next().await {
            // The rest of a file that cannot be written is taken all the same: others come after it.
            if let Ok(writing) = &writing {
                writing.write(bytes).await;
            }
        }
        let ending = content.verdict.await;
        if !matches!(ending, Ok(Ending::Whole | Ending::Changed)) {
            return ending.map(drop);
        }
        let complete = |Written { partial, digest }| Ok((item.complete(partial)?, digest));
        match block_in_place(|| writing?.finish().and_then(complete)) {
            Ok((made, digest)) => {
                self.ledger.note(&made);
                if let Some(digest) = digest {
                    self.ledger.prove(&item.at, digest);
                }
                Ok(())
            }
            Err(cause) => self.ledger.omit(item, &cause),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Item>> {
        // A panic elsewhere leaves it whole: every change is made in one go.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is written down that incomplete files may be there, as long as that may be so.
struct Unfinished {
    note: Option<NoteGuard>,
    root: Arc<TargetDir>,
}

impl Unfinished {
    fn note(root: Arc<TargetDir>, path: &Path, journal: &Journal) -> Self {
        let noted = std::path::absolute(path).and_then(|path| {
            journal.keep(Leftover::Files {
                root: path,
                prefix: root.partial_prefix(),
            })
        });
        let note = noted.inspect_err(|cause| {
            let text = "should this restore be cut off, files called .tthost-partial-* stay: the state directory cannot be written to";
            warn!(subject = "restore", "{text}: {cause}");
        });
        Self {
            note: note.ok(),
            root,
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.root.has_partial()
            && let Some(note) = self.note.take()
        {
            note.keep_noted();
        }
    }
}

fn is_device(kind: &EntryKind) -> bool {
    matches!(
        kind,
        EntryKind::CharacterDevice(_) | EntryKind::BlockDevice(_)
    )
}

/// Whether only root may do it, wherever.
fn is_privileged(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())
}
