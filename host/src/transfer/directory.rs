//! A tree into a directory: files written aside and renamed, nothing outside touched.
//!
//! What this defends against: a snapshot that was made to write elsewhere. Every step goes
//! through handles of directories that were opened without following a symbolic link.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::OpenOptionsExt as _;
use cap_std::fs::{Dir, OpenOptions};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;

use super::{Contents, Writer};
use crate::error::{Error, Kind, Result};
use crate::event::{Events, Level};
use crate::operation::Receipt;
use crate::plugin::bindings::types::{self, Entry, Metadata};

/// The ending of a file that is not whole yet.
const PARTIAL: &str = ".tthost-partial";

/// Writes a tree into a directory, over what is there.
pub(crate) struct DirectoryWriter {
    root: Arc<Dir>,
    /// Where the root is, for messages.
    path: PathBuf,
    /// The directories that are still open, outermost first.
    open: Vec<Open>,
    /// Files that wait for their contents, and where they go.
    waiting: HashMap<u64, Waiting>,
    receipt: Receipt,
    events: Arc<dyn Events>,
}

struct Open {
    id: u64,
    directory: Arc<Dir>,
    path: PathBuf,
    metadata: Metadata,
}

struct Waiting {
    parent: Arc<Dir>,
    path: PathBuf,
    metadata: Metadata,
}

impl DirectoryWriter {
    /// Writes into the directory at this path, which is created when it is missing.
    pub(crate) fn new(path: &Path, events: Arc<dyn Events>) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|cause| failed(path, &cause))?;
        let root = Dir::open_ambient_dir(path, cap_std::ambient_authority())
            .map_err(|cause| failed(path, &cause))?;
        Ok(Self {
            root: Arc::new(root),
            path: path.to_owned(),
            open: Vec::new(),
            waiting: HashMap::new(),
            receipt: Receipt::default(),
            events,
        })
    }

    /// Takes one entry; true when its contents are needed.
    fn take(&mut self, entry: &Entry) -> Result<bool> {
        self.close_until(entry.parent)?;
        let (parent, above) = match self.open.last() {
            Some(open) => (open.directory.clone(), open.path.clone()),
            None => (self.root.clone(), self.path.clone()),
        };
        let name = OsStr::from_bytes(&entry.name);
        let path = above.join(name);
        match &entry.kind {
            types::Kind::File(_) => {
                self.receipt.files_total += 1;
                let metadata = entry.metadata.clone();
                self.waiting.insert(
                    entry.id,
                    Waiting {
                        parent,
                        path,
                        metadata,
                    },
                );
                return Ok(true);
            }
            types::Kind::Directory => {
                let directory = enter(&parent, name).map_err(|cause| failed(&path, &cause))?;
                let metadata = entry.metadata.clone();
                self.open.push(Open {
                    id: entry.id,
                    directory: Arc::new(directory),
                    path,
                    metadata,
                });
            }
            types::Kind::Symlink(target) => {
                clear(&parent, name)
                    .and_then(|()| parent.symlink_contents(OsStr::from_bytes(target), name))
                    .map_err(|cause| failed(&path, &cause))?;
            }
            types::Kind::Fifo
            | types::Kind::Socket
            | types::Kind::CharacterDevice(_)
            | types::Kind::BlockDevice(_) => {
                let text = format!(
                    "{} is neither file, directory nor symbolic link and was left out",
                    path.display()
                );
                self.events.log("restore", Level::Warn, &text);
            }
        }
        Ok(false)
    }

    /// Closes the directories that do not hold what comes next. Their metadata is set
    /// last, because what happens in them changes their times.
    fn close_until(&mut self, parent: u64) -> Result<()> {
        while let Some(open) = self.open.pop_if(|open| open.id != parent) {
            let handle = open
                .directory
                .open(".")
                .map_err(|cause| failed(&open.path, &cause))?;
            finish(&handle.into_std(), &open.metadata)
                .map_err(|cause| failed(&open.path, &cause))?;
        }
        Ok(())
    }

    fn begin(&mut self, id: u64) -> Result<(Waiting, tokio::fs::File)> {
        let waiting = self.waiting.remove(&id).ok_or_else(|| {
            Error::new(
                Kind::Plugin,
                format!("contents came for entry {id}, which needs none"),
            )
        })?;
        let file = create(&waiting).map_err(|cause| failed(&waiting.path, &cause))?;
        Ok((waiting, file))
    }
}

impl Writer for DirectoryWriter {
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let mut needs = HashSet::new();
        let taken = entries.iter().try_for_each(|entry| {
            if self.take(entry)? {
                needs.insert(entry.id);
            }
            Ok(())
        });
        std::future::ready(taken.map(|()| needs)).boxed()
    }

    fn put_small(&mut self, files: Vec<(u64, bytes::Bytes)>) -> BoxFuture<'_, Result<()>> {
        async move {
            for (id, contents) in files {
                let (waiting, mut file) = self.begin(id)?;
                file.write_all(&contents)
                    .await
                    .map_err(|cause| failed(&waiting.path, &cause))?;
                self.receipt.bytes_total += contents.len() as u64;
                complete(&waiting, file).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn put(&mut self, id: u64, contents: Contents) -> BoxFuture<'_, Result<()>> {
        async move {
            let (waiting, mut file) = self.begin(id)?;
            let write = async {
                while let Some(bytes) = contents.outlet.next().await {
                    file.write_all(&bytes)
                        .await
                        .map_err(|cause| failed(&waiting.path, &cause))?;
                    self.receipt.bytes_total += bytes.len() as u64;
                }
                contents.verdict.await
            };
            if let Err(error) = write.await {
                // What is left of it is no file that anybody asked for.
                let _ = waiting.parent.remove_file(partial(&waiting.path));
                return Err(error);
            }
            complete(&waiting, file).await
        }
        .boxed()
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<Receipt>> {
        let closed = self.close_until(0);
        std::future::ready(closed.map(|()| self.receipt)).boxed()
    }
}

/// Opens the directory of this name, which is created when it is missing; whatever else
/// has the name stays, and is an error.
fn enter(parent: &Dir, name: &OsStr) -> std::io::Result<Dir> {
    match parent.create_dir(name) {
        Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => return Err(cause),
        _ => {}
    }
    if parent.symlink_metadata(name)?.is_symlink() {
        return Err(std::io::Error::other(
            "there is a symbolic link in its place",
        ));
    }
    parent.open_dir(name)
}

/// Removes what has this name, unless it is a directory.
fn clear(parent: &Dir, name: &OsStr) -> std::io::Result<()> {
    match parent.remove_file(name) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(PARTIAL);
    name.into()
}

fn create(waiting: &Waiting) -> std::io::Result<tokio::fs::File> {
    let name = partial(&waiting.path);
    clear(&waiting.parent, name.as_os_str())?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = waiting.parent.open_with(name, &options)?;
    Ok(tokio::fs::File::from_std(file.into_std()))
}

async fn complete(waiting: &Waiting, mut file: tokio::fs::File) -> Result<()> {
    let complete = async {
        file.flush().await?;
        finish(&file.into_std().await, &waiting.metadata)?;
        let name = waiting.path.file_name().unwrap_or_default();
        if waiting
            .parent
            .symlink_metadata(name)
            .is_ok_and(|there| there.is_dir())
        {
            return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
        }
        waiting
            .parent
            .rename(partial(&waiting.path), &waiting.parent, name)
    };
    complete
        .await
        .map_err(|cause: std::io::Error| failed(&waiting.path, &cause))
}

/// Sets owner, mode and time. The owner first, because changing it clears set-uid bits;
/// who may not change it keeps their own, as with other programs that restore.
fn finish(file: &std::fs::File, metadata: &Metadata) -> std::io::Result<()> {
    let owner = rustix::fs::fchown(
        file,
        Some(rustix::fs::Uid::from_raw(metadata.uid)),
        Some(rustix::fs::Gid::from_raw(metadata.gid)),
    );
    let mode = match owner {
        Ok(()) => metadata.mode & 0o7777,
        // Set-uid for another owner than the one it was meant for is a gift to nobody.
        Err(_) => metadata.mode & 0o1777,
    };
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    match time(metadata.modified) {
        Some(modified) => file.set_modified(modified),
        None => Ok(()),
    }
}

fn time(instant: types::Instant) -> Option<SystemTime> {
    let seconds = Duration::from_secs(instant.seconds.unsigned_abs());
    let whole = if instant.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(Duration::from_nanos(u64::from(instant.nanoseconds)))
}

fn failed(path: &Path, cause: &std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Other,
    };
    Error::new(
        kind,
        format!("{} cannot be restored: {cause}", path.display()),
    )
}
