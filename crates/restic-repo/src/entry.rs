//! The entries of a file tree, as in the plugin contract.

use crate::Id;

/// A point in time; the nanoseconds always count forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Below 1'000'000'000.
    pub nanoseconds: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, with its size in bytes where that is known.
    File(Option<u64>),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device and its number.
    CharacterDevice(u64),
    /// A block device and its number.
    BlockDevice(u64),
}

/// POSIX metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits including set-uid, set-gid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The owner's name.
    pub user: Option<String>,
    /// The group's name.
    pub group: Option<String>,
    /// Last change of the contents.
    pub modified: Instant,
    /// Last access.
    pub accessed: Option<Instant>,
    /// Last change of the inode.
    pub changed: Option<Instant>,
    /// The device that holds it.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Hard links.
    pub links: u64,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on.
    pub id: u64,
    /// The number of its directory, 0 at the top.
    pub parent: u64,
    /// The last component of its path.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// About it.
    pub metadata: Metadata,
    /// The id of the tree of what is below a directory, where it is in a snapshot.
    pub subtree: Option<Id>,
}
