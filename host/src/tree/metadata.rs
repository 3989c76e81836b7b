//! Sets owner, attributes, mode and times of a new entry.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::contract::{EntryKind, Instant, Metadata};

/// ACLs, which new things can inherit from their directory.
const INHERITED: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// The attributes that could not be set without permission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// It could not be made at all.
    pub(crate) existence: bool,
    /// Its owner differs from the recorded one.
    pub(crate) owner: bool,
    /// Some extended attributes are missing.
    pub(crate) attributes: bool,
}

/// An object whose metadata can be set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// Something that is only named by its handle.
    Named(BorrowedFd<'a>),
}

/// Sets the metadata of this. It is as it should be, except for what is answered. Without
/// `may_have_acls` nothing is done about ACLs that it has and should not.
pub(crate) fn apply(
    object: Object<'_>,
    kind: &EntryKind,
    metadata: &Metadata,
    may_have_acls: bool,
) -> io::Result<Shortfall> {
    let mut shortfall = Shortfall::default();
    // The owner first: a change of it takes set-uid bits and capabilities away.
    match object.chown(metadata.uid.get(), metadata.gid.get()) {
        Ok(()) => {}
        Err(Errno::PERM) => shortfall.owner = true,
        Err(cause) => return Err(cause.into()),
    }
    // Then attributes, which can need the right to write.
    for name in INHERITED.iter().filter(|_| may_have_acls) {
        if metadata
            .xattrs
            .iter()
            .all(|xattr| xattr.name().to_bytes() != name.as_bytes())
        {
            // It rarely has one, and not every kind of thing can.
            let _ = object.remove_xattr(name);
        }
    }
    for xattr in &metadata.xattrs {
        match object.set_xattr(xattr.name(), xattr.value()) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => shortfall.attributes = true,
            Err(cause) => return Err(cause.into()),
        }
    }
    if !matches!(kind, EntryKind::Symlink(_)) {
        // The set-uid bit must not take effect for another owner than the recorded one.
        let mask = if shortfall.owner { 0o1777 } else { 0o7777 };
        object.chmod(Mode::from_raw_mode(metadata.permissions.bits() & mask))?;
    }
    let times = Timestamps {
        last_access: timespec(metadata.accessed.unwrap_or(metadata.modified)),
        last_modification: timespec(metadata.modified),
    };
    object.set_times(&times)?;
    Ok(shortfall)
}

impl Object<'_> {
    fn chown(self, uid: u32, gid: u32) -> Result<(), Errno> {
        let (Self::Open(handle) | Self::Named(handle)) = self;
        let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(handle, "", owner, group, AtFlags::EMPTY_PATH)
    }

    fn chmod(self, mode: Mode) -> Result<(), Errno> {
        match self {
            Self::Open(handle) => rustix::fs::fchmod(handle, mode),
            Self::Named(handle) => rustix::fs::chmod(path(handle), mode),
        }
    }

    fn set_xattr(self, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        let flags = XattrFlags::empty();
        match self {
            Self::Open(handle) => rustix::fs::fsetxattr(handle, name, value, flags),
            Self::Named(handle) => rustix::fs::setxattr(path(handle), name, value, flags),
        }
    }

    fn remove_xattr(self, name: &str) -> Result<(), Errno> {
        match self {
            Self::Open(handle) => rustix::fs::fremovexattr(handle, name),
            Self::Named(handle) => rustix::fs::removexattr(path(handle), name),
        }
    }

    fn set_times(self, times: &Timestamps) -> Result<(), Errno> {
        match self {
            Self::Open(handle) => rustix::fs::futimens(handle, times),
            Self::Named(handle) => {
                rustix::fs::utimensat(CWD, path(handle), times, AtFlags::empty())
            }
        }
    }
}

/// Names the object of a handle itself, even if it is renamed in the meantime.
fn path(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn timespec(instant: Instant) -> Timespec {
    Timespec {
        tv_sec: instant.seconds(),
        tv_nsec: instant.nanoseconds().into(),
    }
}
