//! A directory on disk, open for reading.

use std::error::Error;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::OperatorPath;
use super::holes::Holes;
use super::names::Names;
use super::read_dir::{FileReader, ReadDir, Stamp};
use crate::contract::{
    AccountName, EntryKind, Instant, LinkTarget, Metadata, OwnerId, Permissions, Xattr,
};

/// A directory on disk.
#[derive(Debug)]
pub(crate) struct DiskDir {
    dir: Dir,
    names: Arc<Names>,
}

/// An open file, and how far it was read.
struct OpenFile {
    file: File,
    at: u64,
    /// None in a file that has no holes.
    holes: Option<Holes>,
}

impl DiskDir {
    /// The root of a tree: this open directory.
    pub(super) fn root(dir: Dir) -> Self {
        Self {
            dir,
            names: Arc::default(),
        }
    }

    /// A handle of the same directory.
    pub(super) fn handle(&self) -> io::Result<Dir> {
        self.dir.try_clone()
    }

    /// The metadata of a directory that the operator named, outside of the tree. It need not be
    /// readable, so that there may be no handle of it.
    pub(super) fn elsewhere(&self, path: &OperatorPath) -> io::Result<Metadata> {
        let path = path.as_path();
        let stat = rustix::fs::stat(path)?;
        self.metadata(&stat, xattrs(path.as_os_str().as_bytes())?)
    }

    /// Opens something without a trace in its time of access, where that is permitted. Where it is
    /// not, cap-std would blame its own system call, and try others before it gave up.
    fn open_quietly(&self, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
        let open = |flags| rustix::fs::openat(&self.dir, name, flags, Mode::empty());
        let opened = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            opened => opened,
        };
        opened.map_err(|cause| match cause {
            // A link, or something else where a directory was, or a socket.
            Errno::LOOP | Errno::NOTDIR | Errno::NXIO => replaced(),
            other => other.into(),
        })
    }

    fn metadata(&self, stat: &Stat, xattrs: Vec<Xattr>) -> io::Result<Metadata> {
        // A name that the contract does not take is worth less than the file.
        let account = |name: Option<String>| name.and_then(|name| AccountName::new(name).ok());
        Ok(Metadata {
            permissions: Permissions::of_mode(stat.st_mode),
            uid: OwnerId::new(stat.st_uid).map_err(impossible)?,
            gid: OwnerId::new(stat.st_gid).map_err(impossible)?,
            user: account(self.names.user(stat.st_uid)),
            group: account(self.names.group(stat.st_gid)),
            modified: instant(stat.st_mtime, stat.st_mtime_nsec)?,
            // The access time changes when the file is read, and is not needed.
            accessed: None,
            changed: Some(instant(stat.st_ctime, stat.st_ctime_nsec)?),
            device: stat.st_dev,
            inode: stat.st_ino,
            links: link_count(stat),
            xattrs,
        })
    }
}

impl ReadDir for DiskDir {
    fn list(&self, keep: &mut dyn FnMut(&CStr) -> io::Result<()>) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        // It opens the directory once more, and as it was opened. cap-std would do so twice, and
        // leave a trace in its time of access.
        for entry in rustix::fs::Dir::read_from(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                keep(name)?;
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn stat(&self, name: &CStr) -> io::Result<(EntryKind, Metadata)> {
        // cap-std's system call would mount what is only mounted when somebody goes there.
        let stat = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryKind::File(Some(unsigned(stat.st_size))),
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => {
                let name = OsStr::from_bytes(name.to_bytes());
                let target = self.dir.read_link_contents(name)?.into_os_string();
                EntryKind::Symlink(LinkTarget::new(target.into_vec()).map_err(impossible)?)
            }
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            FileType::CharacterDevice => EntryKind::CharacterDevice(stat.st_rdev),
            FileType::BlockDevice => EntryKind::BlockDevice(stat.st_rdev),
            FileType::Unknown => return Err(io::Error::other("it is of an unknown kind")),
        };
        // The name stands in the directory's handle, and its own link is not followed.
        let mut path = format!("/proc/self/fd/{}/", self.dir.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        let xattrs = xattrs(&path)?;
        Ok((kind, self.metadata(&stat, xattrs)?))
    }

    fn stat_self(&self) -> io::Result<Metadata> {
        let stat = rustix::fs::fstat(&self.dir)?;
        let path = format!("/proc/self/fd/{}/.", self.dir.as_raw_fd());
        self.metadata(&stat, xattrs(path.as_bytes())?)
    }

    fn enter(&self, name: &CStr) -> io::Result<Arc<dyn ReadDir>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Arc::new(Self {
            dir: self.open_quietly(name, flags)?.into(),
            names: self.names.clone(),
        }))
    }

    fn open(&self, name: &CStr, _length: u64) -> io::Result<Box<dyn FileReader>> {
        // Without NONBLOCK, opening a pipe in the file's place would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = self.open_quietly(name, flags)?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(replaced());
        }
        let holes = Holes::of(&stat);
        let file = file.into();
        Ok(Box::new(OpenFile { file, at: 0, holes }))
    }
}

impl FileReader for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let mut room = &mut buffer[filled..];
            if let Some(holes) = &mut self.holes {
                let (length, is_hole) = holes.run(&self.file, self.at, room.len() as u64)?;
                let length = usize::try_from(length).map_err(impossible)?;
                if is_hole {
                    room[..length].fill(0);
                    filled += length;
                    self.at += length as u64;
                    continue;
                }
                if length > 0 {
                    room = &mut room[..length];
                }
            }
            match self.file.read_at(room, self.at) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.at += read as u64;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(filled)
    }

    fn stamp(&mut self) -> io::Result<Stamp> {
        let stat = rustix::fs::fstat(&self.file)?;
        Ok(Stamp {
            size: unsigned(stat.st_size),
            modified: instant(stat.st_mtime, stat.st_mtime_nsec)?,
            changed: instant(stat.st_ctime, stat.st_ctime_nsec)?,
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// The error of something that is not what it was when it was listed.
fn replaced() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "something else has taken its place",
    )
}

/// The extended attributes of what a path names, in the order in which the system lists them.
fn xattrs(path: &[u8]) -> io::Result<Vec<Xattr>> {
    let names = match grow(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(cause) => return Err(cause.into()),
    };
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Xattr::all(names.filter_map(|name| {
        match grow(|buffer| rustix::fs::lgetxattr(path, name, buffer)) {
            Ok(value) => Some(Xattr::new(name, value).map_err(io::Error::from)),
            // It went away meanwhile, or is listed and not there, as on some network file systems.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
            Err(cause) => Some(Err(cause.into())),
        }
    }))
}

/// All that a call has to say, however much room that takes.
fn grow(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    // Most things have no attributes, and the others few.
    let mut short = [0; 256];
    match call(&mut short) {
        Ok(length) => return Ok(short[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(cause) => return Err(cause),
    }
    // The kernel has no longer ones.
    let mut long = vec![0; 64 << 10];
    let length = call(&mut long)?;
    long.truncate(length);
    Ok(long)
}

fn instant(seconds: impl Into<i64>, nanoseconds: impl TryInto<u32>) -> io::Result<Instant> {
    Instant::new(seconds.into(), nanoseconds.try_into().unwrap_or_default()).map_err(impossible)
}

/// The error of a file system that tells what no file can have.
fn impossible(invalid: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, invalid)
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or_default()
}

#[allow(
    clippy::useless_conversion,
    reason = "its type is another one on other processors"
)]
fn link_count(stat: &Stat) -> u64 {
    stat.st_nlink.into()
}
