//! Entries and their parts.

use bytes::Bytes;

use crate::contract::{
    AccountName, Completeness, Ending, Entry, EntryKind, Instant, Invalid, LinkTarget, Metadata,
    Name, OwnerId, Permissions, SmallFile, Subtree, Xattr,
};
use crate::plugin::bindings::types;
use crate::plugin::memory::Memory;

impl TryFrom<types::Entry> for Entry {
    type Error = Invalid;

    fn try_from(entry: types::Entry) -> Result<Self, Invalid> {
        Ok(Self {
            id: entry.id,
            parent: entry.parent,
            name: Name::new(entry.name)?,
            kind: entry.kind.try_into()?,
            metadata: entry.metadata.try_into()?,
            subtree: entry.subtree.map(Subtree::new).transpose()?,
        })
    }
}

impl From<Entry> for types::Entry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            parent: entry.parent,
            name: entry.name.into_bytes(),
            kind: entry.kind.into(),
            metadata: entry.metadata.into(),
            subtree: entry.subtree.map(|subtree| subtree.as_bytes().to_vec()),
        }
    }
}

impl TryFrom<types::Kind> for EntryKind {
    type Error = Invalid;

    fn try_from(kind: types::Kind) -> Result<Self, Invalid> {
        Ok(match kind {
            types::Kind::File(size) => Self::File(size),
            types::Kind::Directory => Self::Directory,
            types::Kind::Symlink(target) => Self::Symlink(LinkTarget::new(target)?),
            types::Kind::Fifo => Self::Fifo,
            types::Kind::Socket => Self::Socket,
            types::Kind::CharacterDevice(device) => Self::CharacterDevice(device),
            types::Kind::BlockDevice(device) => Self::BlockDevice(device),
        })
    }
}

impl From<EntryKind> for types::Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File(size) => Self::File(size),
            EntryKind::Directory => Self::Directory,
            EntryKind::Symlink(target) => Self::Symlink(target.into_bytes()),
            EntryKind::Fifo => Self::Fifo,
            EntryKind::Socket => Self::Socket,
            EntryKind::CharacterDevice(device) => Self::CharacterDevice(device),
            EntryKind::BlockDevice(device) => Self::BlockDevice(device),
        }
    }
}

impl TryFrom<types::Metadata> for Metadata {
    type Error = Invalid;

    fn try_from(metadata: types::Metadata) -> Result<Self, Invalid> {
        let account = |name: Option<String>| name.map(AccountName::new).transpose();
        let xattr = |xattr: types::Xattr| Xattr::new(xattr.name, xattr.value);
        Ok(Self {
            permissions: Permissions::new(metadata.mode)?,
            uid: OwnerId::new(metadata.uid)?,
            gid: OwnerId::new(metadata.gid)?,
            user: account(metadata.user)?,
            group: account(metadata.group)?,
            modified: metadata.modified.try_into()?,
            accessed: metadata.accessed.map(Instant::try_from).transpose()?,
            changed: metadata.changed.map(Instant::try_from).transpose()?,
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: Xattr::all(metadata.xattrs.into_iter().map(xattr))?,
        })
    }
}

impl From<Metadata> for types::Metadata {
    fn from(metadata: Metadata) -> Self {
        let xattr = |xattr: Xattr| {
            let (name, value) = xattr.into_parts();
            types::Xattr { name, value }
        };
        Self {
            mode: metadata.permissions.bits(),
            uid: metadata.uid.get(),
            gid: metadata.gid.get(),
            user: metadata.user.map(AccountName::into_string),
            group: metadata.group.map(AccountName::into_string),
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

impl TryFrom<types::Instant> for Instant {
    type Error = Invalid;

    fn try_from(instant: types::Instant) -> Result<Self, Invalid> {
        Self::new(instant.seconds, instant.nanoseconds)
    }
}

impl From<Instant> for types::Instant {
    fn from(instant: Instant) -> Self {
        Self {
            seconds: instant.seconds(),
            nanoseconds: instant.nanoseconds(),
        }
    }
}

impl From<types::Completeness> for Completeness {
    fn from(completeness: types::Completeness) -> Self {
        match completeness {
            types::Completeness::Complete => Self::Complete,
            types::Completeness::Incomplete => Self::Incomplete,
        }
    }
}

impl From<Completeness> for types::Completeness {
    fn from(completeness: Completeness) -> Self {
        match completeness {
            Completeness::Complete => Self::Complete,
            Completeness::Incomplete => Self::Incomplete,
        }
    }
}

impl From<types::Ending> for Ending {
    fn from(ending: types::Ending) -> Self {
        match ending {
            types::Ending::Whole => Self::Whole,
            types::Ending::Changed => Self::Changed,
            types::Ending::Omitted => Self::Omitted,
        }
    }
}

impl From<Ending> for types::Ending {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Whole => Self::Whole,
            Ending::Changed => Self::Changed,
            Ending::Omitted => Self::Omitted,
        }
    }
}

impl From<types::Small> for SmallFile {
    fn from(file: types::Small) -> Self {
        Self::new(file.id, file.contents)
    }
}

impl SmallFile {
    /// The contents that a plugin gave of an entry.
    pub(in crate::plugin) fn new(id: u64, contents: types::Contents) -> Self {
        let (ending, contents) = match contents {
            types::Contents::Whole(contents) => (Ending::Whole, contents.into()),
            types::Contents::Changed(contents) => (Ending::Changed, contents.into()),
            types::Contents::Omitted => (Ending::Omitted, Bytes::new()),
        };
        Self {
            id,
            ending,
            contents,
        }
    }

    /// The same, charged until the last of its contents is gone.
    pub(in crate::plugin) fn charged_to(self, memory: &Memory) -> Result<Self, types::Error> {
        let contents = memory.charge(self.contents)?;
        Ok(Self { contents, ..self })
    }
}

impl From<SmallFile> for types::Small {
    fn from(file: SmallFile) -> Self {
        let contents = match file.ending {
            Ending::Whole => types::Contents::Whole(file.contents.into()),
            Ending::Changed => types::Contents::Changed(file.contents.into()),
            Ending::Omitted => types::Contents::Omitted,
        };
        Self {
            id: file.id,
            contents,
        }
    }
}
