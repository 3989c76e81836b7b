//! A tree into a directory.
//!
//! | module | holds |
//! |---|---|
//! | here | the writer: what is made when, and what has to wait |
//! | `item` | one entry on its way to its place |
//! | `dry_run` | what the writer would change |
//! | `proof` | files read back |

mod dry_run;
mod item;
mod proof;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::block_in_place;
use tracing::{error, info, warn};
use tthost_seal::Digester;

use super::metadata::{Object, Shortfall, settle};
use super::target_dir::{Before, TargetDir};
use crate::contract::{Ending, Entry, EntryKind, Metadata, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, Leftover, Standing};
use crate::pipe::Content;
use crate::text::printable;
use item::{Item, Made};
use proof::Proofs;

pub(crate) use dry_run::DryRun;

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
    later: Vec<Later>,
    /// Where the first name of each file with several is, by its device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    /// What several files change that are written at once.
    files: Mutex<Files>,
    /// Its incomplete files are removed should the process die.
    _standing: Option<Standing>,
}

#[derive(Default)]
struct Files {
    /// Files that wait for their contents.
    waiting: HashMap<u64, Item>,
    proofs: Proofs,
    receipt: Receipt,
    told: Shortfall,
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
}

enum Later {
    /// Another name of a file that is there by then.
    Link { item: Item, first: PathBuf },
    /// The metadata of a directory: what happens in it changes its times.
    Settle(Directory),
}

impl TreeWriter {
    /// Writes into this directory, which has that path in messages.
    pub(crate) fn new(
        root: TargetDir,
        path: &Path,
        options: RestoreOptions,
        journal: &Journal,
    ) -> Self {
        Self {
            _standing: note_partial(&root, path, journal),
            root: Arc::new(root),
            path: path.to_owned(),
            options,
            names: HashSet::new(),
            open: Vec::new(),
            later: Vec::new(),
            linked: HashMap::new(),
            files: Mutex::default(),
        }
    }

    /// Takes the next entries and answers the numbers of those whose contents it needs. May wait for
    /// a disk, like all that follows.
    pub(crate) fn offer(&mut self, entries: &[Entry]) -> Result<HashSet<u64>> {
        self.catch_up()?;
        let mut needs = HashSet::new();
        for entry in entries {
            if self.take(entry)? {
                needs.insert(entry.id);
            }
        }
        Ok(needs)
    }

    /// Takes small contents, whole.
    pub(crate) fn put_small(&self, files: &[SmallFile]) -> Result<()> {
        files.iter().try_for_each(|file| match file.contents() {
            Some(contents) => self.put_whole(file.id, contents),
            None => self.expect(file.id).map(drop),
        })
    }

    /// Takes the contents of one file, and waits for their verdict.
    pub(crate) async fn put(&self, id: u64, content: Content) -> Result<()> {
        let item = self.expect(id)?;
        self.put_stream(&item, content).await
    }

    /// Takes one entry; true when its contents are needed.
    fn take(&mut self, entry: &Entry) -> Result<bool> {
        self.leave_until(entry.parent);
        let Some(item) = self.item(entry) else {
            self.files().receipt.failed += 1;
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
                self.leave_out(&item, &cause)?;
            }
        }
        match entry.kind {
            EntryKind::File(_) => {
                self.files().receipt.files_total += 1;
                if let Some(first) = self.first_name(&item) {
                    self.later.push(Later::Link { item, first });
                    return Ok(false);
                }
                self.files().waiting.insert(entry.id, item);
                return Ok(true);
            }
            EntryKind::Directory => {
                let made = match item.parent.make(&item.name) {
                    Ok((place, before)) => {
                        if before == Before::Something {
                            place.permit_owner();
                        }
                        self.count(before);
                        let place = Arc::new(place);
                        Some(MadeDirectory { place, item })
                    }
                    Err(cause) => {
                        self.leave_out(&item, &cause)?;
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
                    printable(&self.at(&item).to_string_lossy())
                );
            }
            _ => match item.special() {
                Ok(made) => self.note(&made),
                Err(cause) if is_device(&item.kind) && is_privileged(&cause) => {
                    self.tell(Shortfall {
                        existence: true,
                        ..Shortfall::default()
                    });
                }
                Err(cause) => self.leave_out(&item, &cause)?,
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
        let (parent, above) = match self.open.last() {
            Some(directory) => {
                let made = directory.made.as_ref()?;
                (made.place.clone(), made.item.path.as_path())
            }
            None => (self.root.clone(), Path::new("")),
        };
        let name = entry.name.as_os_str();
        Some(Item {
            parent,
            path: above.join(name),
            name: name.into(),
            kind: entry.kind.clone(),
            metadata: entry.metadata.clone(),
        })
    }

    /// Removes a directory where something else belongs, and something else where a directory
    /// does. All else is replaced by renaming.
    fn clear_the_way(&self, item: &Item) -> io::Result<()> {
        let Some(found) = item.parent.look(&item.name)? else {
            return Ok(());
        };
        if found.is_dir() != matches!(item.kind, EntryKind::Directory) {
            self.files().receipt.removed += item.parent.remove(&item.name)?;
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
                Later::Link { item, first } => match item.link(&self.root, &first) {
                    Ok(before) => self.count(before),
                    Err(cause) => self.leave_out(&item, &cause)?,
                },
                Later::Settle(Directory { made, names, .. }) => {
                    let Some(MadeDirectory { place, item }) = made else {
                        continue;
                    };
                    let settled = self.tidy(&place, &names).and_then(|()| {
                        let object = Object::Open(place.as_fd());
                        settle(object, &item.kind, &item.metadata, true)
                    });
                    match settled {
                        Ok(shortfall) => self.tell(shortfall),
                        Err(cause) => self.leave_out(&item, &cause)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes what the tree does not have from a directory of which all came.
    fn tidy(&self, place: &TargetDir, names: &HashSet<OsString>) -> io::Result<()> {
        if !self.options.delete {
            return Ok(());
        }
        let mut tidied = Ok(());
        for name in place.names()? {
            if names.contains(&name) {
                continue;
            }
            match place.remove(&name) {
                Ok(removed) => self.files().receipt.removed += removed,
                Err(cause) => {
                    let text = format!("{} cannot be removed: {cause}", name.display());
                    tidied = tidied.and(Err(io::Error::new(cause.kind(), text)));
                }
            }
        }
        tidied
    }

    /// All of the tree came: does what is left to do, and gives the root this metadata.
    pub(crate) fn complete(mut self, metadata: Option<&Metadata>) -> Result<Receipt> {
        self.leave_until(0);
        self.catch_up()?;
        let root = self.root.clone();
        let names = std::mem::take(&mut self.names);
        if let Err(cause) = self.tidy(&root, &names) {
            self.files().receipt.failed += 1;
            let error = failed(&self.path, &cause);
            error!(subject = "restore", "{error:#}");
        }
        let settled = match metadata {
            Some(metadata) => settle(
                Object::Open(root.as_fd()),
                &EntryKind::Directory,
                metadata,
                true,
            ),
            None => Ok(Shortfall::default()),
        };
        self.tell(settled.map_err(|cause| failed(&self.path, &cause))?);
        // What is said to be restored is there after a loss of power.
        rustix::fs::syncfs(&*root).map_err(|cause| failed(&self.path, &cause.into()))?;
        let files = self
            .files
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((path, cause)) = files.proofs.refute(&root) {
            let path = self.path.join(path);
            let text = format!("{} cannot be verified", path.display());
            return Err(Error::new(Kind::Corrupt, text).caused_by(cause));
        }
        Ok(files.receipt)
    }

    fn expect(&self, id: u64) -> Result<Item> {
        self.files().waiting.remove(&id).ok_or_else(|| {
            Error::new(
                Kind::Plugin,
                format!("contents came for entry {id}, which needs none"),
            )
        })
    }

    fn put_whole(&self, id: u64, contents: &[u8]) -> Result<()> {
        let item = self.expect(id)?;
        match item.whole(contents) {
            Ok(made) => self.note(&made),
            Err(cause) => return self.leave_out(&item, &cause),
        }
        let mut files = self.files();
        files.receipt.bytes_total += contents.len() as u64;
        if self.options.verify {
            files.proofs.add(&item.path, tthost_seal::digest(contents));
        }
        Ok(())
    }

    /// Takes contents as they come, until their verdict; and what proves that they are there.
    async fn put_stream(&self, item: &Item, content: Content) -> Result<()> {
        let mut partial = item.begin();
        let mut digester = self.options.verify.then(Digester::new);
        let take = async {
            while let Some(bytes) = content.bytes.next().await {
                // The rest of a file that cannot be written is taken all the same: others come after it.
                let Ok(file) = &mut partial else {
                    continue;
                };
                if let Err(cause) = block_in_place(|| file.write(&bytes)) {
                    partial = Err(cause);
                    continue;
                }
                self.files().receipt.bytes_total += bytes.len() as u64;
                if let Some(digester) = &mut digester {
                    digester.update(&bytes);
                }
            }
            content.verdict.await
        };
        let ending = take.await;
        if !matches!(ending, Ok(Ending::Whole | Ending::Changed)) {
            return ending.map(drop);
        }
        let made = partial.and_then(|partial| block_in_place(|| item.complete(partial)));
        match made {
            Ok(made) => self.note(&made),
            Err(cause) => return self.leave_out(item, &cause),
        }
        if let Some(digester) = digester {
            self.files().proofs.add(&item.path, digester.finish());
        }
        Ok(())
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // A panic elsewhere leaves them whole: every change is made in one go.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, made: &Made) {
        self.count(made.before);
        self.tell(made.shortfall);
    }

    fn count(&self, before: Before) {
        let mut files = self.files();
        match before {
            Before::Nothing => files.receipt.files_new += 1,
            Before::Something => files.receipt.files_changed += 1,
        }
    }

    /// Says what was not permitted, once.
    fn tell(&self, shortfall: Shortfall) {
        let mut files = self.files();
        let told = &mut files.told;
        if shortfall.owner && !std::mem::replace(&mut told.owner, true) {
            let text = "files belong to you and not to their owners: only root may set owners";
            warn!(subject = "restore", "{text}");
        }
        if shortfall.existence && !std::mem::replace(&mut told.existence, true) {
            let text = "devices were left out: only root may create them";
            warn!(subject = "restore", "{text}");
        }
        if shortfall.attributes && !std::mem::replace(&mut told.attributes, true) {
            let text = "some extended attributes were left out: the system or the file system does not permit them";
            warn!(subject = "restore", "{text}");
        }
    }

    /// Goes on without something that cannot be restored, and says so; an error where nothing else can be either.
    fn leave_out(&self, item: &Item, cause: &io::Error) -> Result<()> {
        let error = self.failed(item, cause);
        if matches!(
            cause.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        ) {
            return Err(error);
        }
        self.files().receipt.failed += 1;
        error!(subject = "restore", help = error.next_step(), "{error:#}");
        Ok(())
    }

    fn at(&self, item: &Item) -> PathBuf {
        self.path.join(&item.path)
    }

    fn failed(&self, item: &Item, cause: &io::Error) -> Error {
        failed(&self.at(item), cause)
    }
}

/// Writes down that incomplete files may be there.
fn note_partial(root: &TargetDir, path: &Path, journal: &Journal) -> Option<Standing> {
    let noted = std::path::absolute(path).and_then(|root_path| {
        journal.keep(Leftover::Files {
            root: root_path,
            prefix: root.partial_prefix(),
        })
    });
    match noted {
        Ok(standing) => Some(standing),
        Err(cause) => {
            let text = "should this restore be cut off, files called .tthost-partial-* stay: the state directory cannot be written to";
            warn!(subject = "restore", "{text}: {cause}");
            None
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

/// The error of something that cannot be restored.
pub(crate) fn failed(path: &Path, cause: &io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Other,
    };
    let text = format!("{} cannot be restored", path.display());
    let error = Error::new(kind, text).caused_by(cause.to_string());
    match cause.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => error
            .help("--delete removes what stands in the way, and everything else that is not in the snapshot"),
        _ => error,
    }
}
