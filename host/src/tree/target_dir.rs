//! An open directory, in which entries are created by name.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{
    Dir, DirBuilder, DirBuilderExt as _, Metadata, MetadataExt as _, OpenOptions,
    OpenOptionsExt as _,
};
use rustix::fs::{Dev, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{OperatorPath, open_directory};
use crate::contract::EntryKind;

/// What is not complete yet is called this, a random number, and one that counts. No snapshot can
/// know the random one: a name that it could hold would be taken from its own file.
const PARTIAL_PREFIX: &str = ".tthost-partial-";

/// What is deeper is not removed: every directory on the way to it is open meanwhile.
const DEEPEST: usize = 4096;

/// Only the owner has access until the metadata is set.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The same for everything else.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A directory of a tree that is written. All but directories are made aside, and take their
/// name when they are complete, in place of whatever but a directory had it.
#[derive(Debug)]
pub(crate) struct TargetDir {
    dir: Dir,
    partial_names: Arc<PartialNames>,
    /// The file system of the tree's root.
    root: u64,
    /// What is made in it gets ACLs from it.
    has_default_acl: bool,
}

/// The name of something that is not complete yet.
#[derive(Debug)]
pub(crate) struct PartialName(String);

/// The names of what is not complete yet, of one tree.
#[derive(Debug)]
struct PartialNames {
    random: u64,
    given: AtomicU64,
    /// Something could not be removed.
    is_stuck: AtomicBool,
}

/// Whether something had a name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    Absent,
    Present,
}

impl PartialNames {
    fn prefix(&self) -> String {
        format!("{PARTIAL_PREFIX}{:016x}-", self.random)
    }
}

/// Removes what is not complete below a directory after its process died: what has a name that begins so. Answers how much
/// that was.
pub(crate) fn remove_partial(root: &Path, prefix: &str) -> io::Result<u64> {
    if !prefix.starts_with(PARTIAL_PREFIX) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match OperatorPath::new(root).open() {
        Ok(root) => TargetDir::root(root)?.remove_partial_at(prefix, 0),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(cause),
    }
}

impl TargetDir {
    /// The root of a tree: this open directory.
    pub(crate) fn root(dir: Dir) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let partial_names = PartialNames {
            random: u64::from_ne_bytes(random),
            given: AtomicU64::new(0),
            is_stuck: AtomicBool::new(false),
        };
        Ok(Self {
            has_default_acl: has_default_acl(&dir),
            root: dir.dir_metadata()?.dev(),
            dir,
            partial_names: Arc::new(partial_names),
        })
    }

    /// Whether what is made in it gets ACLs from it.
    pub(crate) fn has_default_acl(&self) -> bool {
        self.has_default_acl
    }

    /// The directory of this name.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let mut options = open_directory();
        options.follow(FollowSymlinks::No);
        match self.dir.open_with(name, &options) {
            Ok(directory) => Ok(self.with(Dir::from_std_file(directory.into_std()))),
            Err(cause) => Err(match Errno::from_io_error(&cause) {
                Some(Errno::LOOP | Errno::NOTDIR) => {
                    let text = "there is no directory in its place";
                    io::Error::new(io::ErrorKind::NotADirectory, text)
                }
                _ => cause,
            }),
        }
    }

    /// The directory of this name, which is made when nothing has the name; and whether it was.
    pub(crate) fn make(&self, name: &OsStr) -> io::Result<(Self, Previous)> {
        let mut builder = DirBuilder::new();
        builder.mode(PRIVATE_DIRECTORY);
        let before = match self.dir.create_dir_with(name, &builder) {
            Ok(()) => Previous::Absent,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Previous::Present,
            Err(cause) => return Err(cause),
        };
        Ok((self.enter(name)?, before))
    }

    /// Lets its owner write to it, where that is this process's user. It gets the permissions that it is to have when it is
    /// complete.
    pub(crate) fn permit_owner(&self) {
        let stat = rustix::fs::fstat(&self.dir);
        let Ok(mode) = stat.map(|stat| Mode::from_raw_mode(stat.st_mode)) else {
            return;
        };
        if !mode.contains(Mode::RWXU) {
            // Who may not change it finds out when something is made in it. Root may do everything.
            let _ = rustix::fs::fchmod(&self.dir, mode | Mode::RWXU);
        }
    }

    /// The entry of this name, if it exists.
    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<Option<Metadata>> {
        match self.dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// The names of all that is in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = self.dir.entries()?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// The names of what is in it besides these, and may be removed: nothing on another file system than the tree's root, which
    /// is mounted there and somebody else's.
    pub(crate) fn surplus(&self, kept: &HashSet<OsString>) -> io::Result<Vec<OsString>> {
        if self.dir.dir_metadata()?.dev() != self.root {
            return Ok(Vec::new());
        }
        let mut names = self.names()?;
        names.retain(|name| !kept.contains(name));
        Ok(names)
    }

    /// How many things have this name or are below it.
    pub(crate) fn count(&self, name: &OsStr) -> io::Result<u64> {
        let mut counted = u64::from(self.stat(name)?.is_some());
        let mut below: Vec<_> = self.enter(name).into_iter().collect();
        while let Some(directory) = below.pop() {
            for entry in directory.dir.entries()? {
                counted += 1;
                let entry = entry?;
                if entry.file_type()?.is_dir() && below.len() < DEEPEST {
                    below.extend(directory.enter(&entry.file_name()));
                }
            }
        }
        Ok(counted)
    }

    /// Removes what has this name, with all below it. Answers how many things that were.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<u64> {
        self.remove_at(name, 0)
    }

    fn remove_at(&self, name: &OsStr, depth: usize) -> io::Result<u64> {
        if depth > DEEPEST {
            return Err(io::Error::other(format!(
                "it is deeper than {DEEPEST} directories"
            )));
        }
        match self.dir.remove_file(name) {
            Ok(()) => return Ok(1),
            Err(cause) => match Errno::from_io_error(&cause) {
                Some(Errno::NOENT) => return Ok(0),
                // Linux says one, POSIX the other, of a directory.
                Some(Errno::ISDIR | Errno::PERM) => {}
                _ => return Err(cause),
            },
        }
        let below = self.enter(name)?;
        if below.dir.dir_metadata()?.dev() != self.dir.dir_metadata()?.dev() {
            return Err(io::Error::other(
                "another file system is mounted there, and stays",
            ));
        }
        let mut removed = 1;
        for name in below.names()? {
            removed += below.remove_at(&name, depth + 1)?;
        }
        self.dir.remove_dir(name)?;
        Ok(removed)
    }

    fn remove_partial_at(&self, prefix: &str, depth: usize) -> io::Result<u64> {
        let mut removed = 0;
        for entry in self.dir.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(prefix.as_bytes()) {
                removed += self.remove(&name)?;
            } else if depth < DEEPEST
                && entry.file_type()?.is_dir()
                // A directory that tthost cannot enter holds no partial file of it.
                && let Ok(below) = self.enter(&name)
            {
                removed += below.remove_partial_at(prefix, depth + 1)?;
            }
        }
        Ok(removed)
    }

    /// Opens the regular file of this name, to be read.
    pub(crate) fn open(&self, name: &OsStr) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        Ok(self.dir.open_with(name, &options)?.into_std())
    }

    /// The directory of these names, one below the other.
    pub(crate) fn walk(&self, path: &Path) -> io::Result<Self> {
        let mut place = self.with(self.dir.try_clone()?);
        for name in path {
            place = place.enter(name)?;
        }
        Ok(place)
    }

    /// A name, which nothing else has, for something that is made in it.
    pub(crate) fn partial(&self) -> PartialName {
        let number = self.partial_names.given.fetch_add(1, Ordering::Relaxed);
        PartialName(format!("{}{number}", self.partial_names.prefix()))
    }

    /// How the names begin of all that is not complete in this tree.
    pub(super) fn partial_prefix(&self) -> String {
        self.partial_names.prefix()
    }

    /// Whether something that is not complete could not be removed.
    pub(super) fn has_partial(&self) -> bool {
        self.partial_names.is_stuck.load(Ordering::Relaxed)
    }

    /// A new file under a partial name.
    pub(crate) fn file(&self, partial: &PartialName) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE.bits());
        Ok(self.dir.open_with(&partial.0, &options)?.into_std())
    }

    /// A symbolic link, pipe, socket or device under a partial name; its handle is good for its metadata only.
    pub(crate) fn special(&self, partial: &PartialName, kind: &EntryKind) -> io::Result<OwnedFd> {
        let (file_type, device) = match kind {
            EntryKind::Symlink(target) => {
                let target = OsStr::from_bytes(target.as_c_str().to_bytes());
                self.dir.symlink_contents(target, &partial.0)?;
                return self.open_partial(partial);
            }
            EntryKind::Fifo => (FileType::Fifo, 0),
            EntryKind::Socket => (FileType::Socket, 0),
            EntryKind::CharacterDevice(device) => (FileType::CharacterDevice, *device),
            EntryKind::BlockDevice(device) => (FileType::BlockDevice, *device),
            EntryKind::File(_) | EntryKind::Directory => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        };
        rustix::fs::mknodat(&self.dir, &partial.0, file_type, PRIVATE, Dev::from(device))?;
        self.open_partial(partial)
    }

    /// A partial name for the file that has this name in that directory.
    pub(crate) fn link(&self, partial: &PartialName, other: &Self, name: &OsStr) -> io::Result<()> {
        other.dir.hard_link(name, &self.dir, &partial.0)
    }

    /// Gives a file its final name, and replaces what has that name unless it is a directory.
    pub(crate) fn keep(&self, partial: &PartialName, name: &OsStr) -> io::Result<Previous> {
        let (directory, partial) = (&self.dir, &partial.0);
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(directory, partial, directory, name, flags) {
            Ok(()) => return Ok(Previous::Absent),
            // Some file systems do not know this kind of renaming.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {}
            Err(cause) => return Err(cause.into()),
        }
        directory.rename(partial, directory, name)?;
        Ok(Previous::Present)
    }

    /// Removes what has a partial name.
    pub(crate) fn clear(&self, partial: &PartialName) -> io::Result<()> {
        match self.dir.remove_file(&partial.0) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                self.partial_names.is_stuck.store(true, Ordering::Relaxed);
                Err(cause)
            }
            _ => Ok(()),
        }
    }

    /// Another directory of the tree.
    fn with(&self, dir: Dir) -> Self {
        Self {
            has_default_acl: has_default_acl(&dir),
            dir,
            root: self.root,
            partial_names: self.partial_names.clone(),
        }
    }

    fn open_partial(&self, partial: &PartialName) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(
            &self.dir,
            &partial.0,
            flags,
            Mode::empty(),
        )?)
    }
}

fn has_default_acl(directory: &Dir) -> bool {
    let mut room = [0; 0];
    rustix::fs::fgetxattr(directory, "system.posix_acl_default", &mut room)
        .is_ok_and(|size| size > 0)
}

impl AsFd for TargetDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}
