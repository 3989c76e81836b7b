//! Owner, attributes, mode and times of something that was made.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::plugin::bindings::types::{Instant, Kind, Metadata};

/// ACLs, which new things can inherit from their directory.
const INHERITED: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// What was not permitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// It could not be made at all.
    pub(crate) existence: bool,
    /// It belongs to somebody else than it should.
    pub(crate) owner: bool,
    /// Some extended attributes are missing.
    pub(crate) attributes: bool,
}

/// Sets the metadata of what is open here. It is as it should be, except for what is answered.
pub(crate) fn settle(object: impl AsFd, kind: &Kind, metadata: &Metadata) -> io::Result<Shortfall> {
    let object = object.as_fd();
    let mut shortfall = Shortfall::default();
    // This names the object itself, whatever it is and whoever renames it meanwhile.
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());

    // The owner first: a change of it takes set-uid bits and capabilities away.
    let owner = Some(Uid::from_raw(metadata.uid));
    let group = Some(Gid::from_raw(metadata.gid));
    match rustix::fs::chownat(object, "", owner, group, AtFlags::EMPTY_PATH) {
        Ok(()) => {}
        Err(Errno::PERM) => shortfall.owner = true,
        Err(cause) => return Err(cause.into()),
    }
    // Then attributes, which can need the right to write.
    for name in INHERITED {
        if metadata
            .xattrs
            .iter()
            .all(|xattr| xattr.name != name.as_bytes())
        {
            // It rarely has one, and not every kind of thing can.
            let _ = rustix::fs::removexattr(&path, name);
        }
    }
    for xattr in &metadata.xattrs {
        let name = xattr.name.as_slice();
        match rustix::fs::setxattr(&path, name, &xattr.value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => shortfall.attributes = true,
            Err(cause) => return Err(cause.into()),
        }
    }
    if !matches!(kind, Kind::Symlink(_)) {
        // Set-uid for another owner than the one it was meant for is a gift to nobody.
        let mask = if shortfall.owner { 0o1777 } else { 0o7777 };
        rustix::fs::chmod(&path, Mode::from_raw_mode(metadata.mode & mask))?;
    }
    let times = Timestamps {
        last_access: timespec(metadata.accessed.unwrap_or(metadata.modified)),
        last_modification: timespec(metadata.modified),
    };
    rustix::fs::utimensat(CWD, &path, &times, AtFlags::empty())?;
    Ok(shortfall)
}

fn timespec(instant: Instant) -> Timespec {
    Timespec {
        tv_sec: instant.seconds,
        tv_nsec: instant.nanoseconds.into(),
    }
}
