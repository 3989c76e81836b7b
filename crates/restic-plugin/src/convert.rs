//! Converts between the types of the contract and those of the repository.

use restic_repo as repo;

use crate::bindings::exports::tthost::backup::sink::{Finding, Reclaimed, Severity, Subset};
use crate::bindings::exports::tthost::backup::transfer::{Counts, Receipt};
use crate::bindings::tthost::backup::types;

/// An error of the host as an error of the repository.
pub(crate) fn repository_error(error: types::Error) -> repo::Error {
    match error {
        types::Error::Config(text) => repo::Error::Config(text),
        types::Error::Denied(text) => repo::Error::Denied(text),
        types::Error::NotFound(text) => repo::Error::NotFound(text),
        types::Error::Exists(text) => repo::Error::Exists(text),
        types::Error::Locked(text) => repo::Error::Locked(text),
        types::Error::Busy(text) => repo::Error::Busy(text),
        types::Error::Unauthenticated(text) => repo::Error::Unauthenticated(text),
        types::Error::Corrupt(text) => repo::Error::Corrupt(text),
        types::Error::NoSpace(text) => repo::Error::NoSpace(text),
        types::Error::ReadOnly(text) => repo::Error::ReadOnly(text),
        types::Error::Unavailable(text) => repo::Error::Unavailable(text),
        types::Error::Unsupported(text) => repo::Error::Unsupported(text),
        types::Error::Cancelled(text) => repo::Error::Cancelled(text),
        types::Error::Other(text) => repo::Error::Other(text),
    }
}

impl From<repo::Error> for types::Error {
    fn from(error: repo::Error) -> Self {
        match error {
            repo::Error::Config(text) => Self::Config(text),
            repo::Error::Denied(text) => Self::Denied(text),
            repo::Error::NotFound(text) => Self::NotFound(text),
            repo::Error::Exists(text) => Self::Exists(text),
            repo::Error::Locked(text) => Self::Locked(text),
            repo::Error::Busy(text) => Self::Busy(text),
            repo::Error::Unauthenticated(text) => Self::Unauthenticated(text),
            repo::Error::Corrupt(text) => Self::Corrupt(text),
            repo::Error::NoSpace(text) => Self::NoSpace(text),
            repo::Error::ReadOnly(text) => Self::ReadOnly(text),
            repo::Error::Unavailable(text) => Self::Unavailable(text),
            repo::Error::Unsupported(text) => Self::Unsupported(text),
            repo::Error::Cancelled(text) => Self::Cancelled(text),
            repo::Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<types::Instant> for repo::Instant {
    fn from(instant: types::Instant) -> Self {
        Self {
            seconds: instant.seconds,
            nanoseconds: instant.nanoseconds,
        }
    }
}

impl From<repo::Instant> for types::Instant {
    fn from(instant: repo::Instant) -> Self {
        Self {
            seconds: instant.seconds,
            nanoseconds: instant.nanoseconds,
        }
    }
}

impl From<types::Caller> for repo::Caller {
    fn from(caller: types::Caller) -> Self {
        Self {
            program: caller.program,
            hostname: caller.hostname,
            username: caller.username,
            process_id: caller.process_id,
            user_id: caller.user_id,
            group_id: caller.group_id,
        }
    }
}

impl From<types::Kind> for repo::Kind {
    fn from(kind: types::Kind) -> Self {
        match kind {
            types::Kind::File(size) => Self::File(size),
            types::Kind::Directory => Self::Directory,
            types::Kind::Symlink(target) => Self::Symlink(target),
            types::Kind::Fifo => Self::Fifo,
            types::Kind::Socket => Self::Socket,
            types::Kind::CharacterDevice(number) => Self::CharacterDevice(number),
            types::Kind::BlockDevice(number) => Self::BlockDevice(number),
        }
    }
}

impl From<repo::Kind> for types::Kind {
    fn from(kind: repo::Kind) -> Self {
        match kind {
            repo::Kind::File(size) => Self::File(size),
            repo::Kind::Directory => Self::Directory,
            repo::Kind::Symlink(target) => Self::Symlink(target),
            repo::Kind::Fifo => Self::Fifo,
            repo::Kind::Socket => Self::Socket,
            repo::Kind::CharacterDevice(number) => Self::CharacterDevice(number),
            repo::Kind::BlockDevice(number) => Self::BlockDevice(number),
        }
    }
}

impl From<types::Metadata> for repo::Metadata {
    fn from(metadata: types::Metadata) -> Self {
        let xattr = |xattr: types::Xattr| repo::Xattr {
            name: xattr.name,
            value: xattr.value,
        };
        Self {
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            user: metadata.user,
            group: metadata.group,
            modified: metadata.modified.into(),
            accessed: metadata.accessed.map(Into::into),
            changed: metadata.changed.map(Into::into),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: metadata.xattrs.into_iter().map(xattr).collect(),
        }
    }
}

impl From<repo::Metadata> for types::Metadata {
    fn from(metadata: repo::Metadata) -> Self {
        let xattr = |xattr: repo::Xattr| types::Xattr {
            name: xattr.name,
            value: xattr.value,
        };
        Self {
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            user: metadata.user,
            group: metadata.group,
            modified: metadata.modified.into(),
            accessed: metadata.accessed.map(Into::into),
            changed: metadata.changed.map(Into::into),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: metadata.xattrs.into_iter().map(xattr).collect(),
        }
    }
}

impl From<types::Entry> for repo::Entry {
    fn from(entry: types::Entry) -> Self {
        Self {
            id: entry.id,
            parent: entry.parent,
            name: entry.name,
            kind: entry.kind.into(),
            metadata: entry.metadata.into(),
            // The repository makes the trees of directories.
            subtree: None,
        }
    }
}

impl From<repo::Entry> for types::Entry {
    fn from(entry: repo::Entry) -> Self {
        Self {
            id: entry.id,
            parent: entry.parent,
            name: entry.name,
            kind: entry.kind.into(),
            metadata: entry.metadata.into(),
            subtree: entry.subtree.map(|id| id.0.to_vec()),
        }
    }
}

impl From<repo::Receipt> for Receipt {
    fn from(receipt: repo::Receipt) -> Self {
        Self {
            snapshot: receipt.snapshot.map(|id| id.to_string()),
            files: receipt.files.into(),
            directories: receipt.directories.into(),
            objects_added: receipt.data_blobs + receipt.tree_blobs,
            bytes_added: receipt.bytes_added,
            bytes_stored: receipt.bytes_stored,
            bytes_total: receipt.bytes,
            removed: 0,
            failed: 0,
        }
    }
}

impl From<repo::Counts> for Counts {
    fn from(counts: repo::Counts) -> Self {
        Self {
            new: counts.new,
            changed: counts.changed,
            unmodified: counts.unmodified,
        }
    }
}

impl From<Subset> for repo::Subset {
    fn from(subset: Subset) -> Self {
        Self {
            first: subset.first,
            last: subset.last,
        }
    }
}

impl From<repo::Finding> for Finding {
    fn from(finding: repo::Finding) -> Self {
        Self {
            severity: match finding.severity {
                repo::Severity::Error => Severity::Error,
                repo::Severity::Warning => Severity::Warning,
            },
            what: finding.what,
            snapshots: finding.snapshot.iter().map(ToString::to_string).collect(),
            paths: finding.path.into_iter().collect(),
        }
    }
}

impl From<repo::Reclaimed> for Reclaimed {
    fn from(reclaimed: repo::Reclaimed) -> Self {
        Self {
            objects_removed: reclaimed.packs_removed,
            bytes_removed: reclaimed.bytes_removed,
            objects_written: reclaimed.packs_written,
            bytes_written: reclaimed.bytes_written,
            bytes_left: reclaimed.bytes_left,
            bytes_unused: reclaimed.bytes_unused,
        }
    }
}

impl From<types::Ending> for repo::Ending {
    fn from(ending: types::Ending) -> Self {
        match ending {
            types::Ending::Whole => Self::Whole,
            types::Ending::Changed => Self::Changed,
            types::Ending::Omitted => Self::Omitted,
        }
    }
}

impl From<repo::Ending> for types::Ending {
    fn from(ending: repo::Ending) -> Self {
        match ending {
            repo::Ending::Whole => Self::Whole,
            repo::Ending::Changed => Self::Changed,
            repo::Ending::Omitted => Self::Omitted,
        }
    }
}

impl From<types::Completeness> for repo::Completeness {
    fn from(completeness: types::Completeness) -> Self {
        match completeness {
            types::Completeness::Complete => Self::Complete,
            types::Completeness::Incomplete => Self::Incomplete,
        }
    }
}
