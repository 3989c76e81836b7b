//! The contract's types as the host holds them.
//!
//! A value of one of these types keeps the contract's rules. Data of a plugin, a repository or an archive is validated once,
//! when it is converted. Three things are checked separately:
//!
//! | module | holds |
//! |---|---|
//! | one entry, and its parts that can be invalid by themselves: [`Name`], [`Permissions`], … |
//! | whether entries of a snapshot match the request |
//! | whether entries form a tree: a [`Batch`] exists only as a part of one |

mod draft;
mod entry;
mod findings;
mod object;
mod place;
mod receipt;
mod reclaimed;
mod rights;
mod scope;
mod sequence;
mod snapshot_id;
mod subset;

use std::fmt;

pub use draft::Identity;
pub(crate) use draft::{Draft, Selection, WriteMode, text, texts};
pub use entry::Invalid;
pub(crate) use entry::{
    AccountName, Entry, EntryKind, Instant, LinkTarget, Metadata, Name, OwnerId, Permissions,
    Subtree, Xattr,
};
pub(crate) use findings::Depth;
pub use findings::{Finding, Findings, Severity};
pub(crate) use object::{Existing, Object, ObjectName, ObjectPage, ObjectPart, ObjectStat};
pub use place::{Fate, Kept, Place};
pub use receipt::Receipt;
pub use reclaimed::Reclaimed;
pub use rights::{Answer, Class, Rights};
pub(crate) use scope::Scope;
#[cfg(test)]
pub(crate) use sequence::tests::entry;
pub(crate) use sequence::{Batch, Sequence};
pub use snapshot_id::SnapshotId;
pub(crate) use subset::Subset;
pub use subset::Usage;

/// Whether a tree contains all of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// Nothing is missing.
    Complete,
    /// Something is missing, or changed while it was read.
    Incomplete,
}

/// How the contents of a file ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The stream carried the complete contents, with the announced length.
    Whole,
    /// The file changed while it was read, and the stream carried the bytes that were read.
    Changed,
    /// The contents are unavailable, and the entry is omitted.
    Omitted,
}

impl Ending {
    /// Whether the tree that the file is in is what its source was.
    pub(crate) fn completeness(self) -> Completeness {
        match self {
            Self::Whole => Completeness::Complete,
            Self::Changed | Self::Omitted => Completeness::Incomplete,
        }
    }
}

/// The owner of streamed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BytesOf {
    /// The entry of this number.
    Entry(u64),
    /// The object of this name.
    Object(ObjectName),
}

impl fmt::Display for BytesOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(id) => write!(formatter, "the contents of entry {id}"),
            Self::Object(name) => write!(formatter, "the contents of object {name}"),
        }
    }
}

/// Whether contents of this length match the announced size.
pub(crate) fn check_length(
    whose: &BytesOf,
    announced: Option<u64>,
    ending: Ending,
    length: u64,
) -> Result<(), Invalid> {
    match announced {
        Some(announced) if ending == Ending::Whole && length != announced => Err(Invalid::new(
            format!("{whose} have {length} bytes, and {announced} were announced"),
        )),
        _ => Ok(()),
    }
}

/// The most bytes that a stream of contents may carry before it is ended. What was announced can only be exceeded by a
/// file that changed meanwhile, and not by any amount.
pub(crate) fn longest_stream(announced: Option<u64>) -> u64 {
    /// Of a file that nobody knows the size of, like a dump: 4 TiB.
    const UNANNOUNCED: u64 = 4 << 40;
    const EXCESS: u64 = 1 << 20;
    announced.map_or(UNANNOUNCED, |size| {
        size.saturating_mul(2).saturating_add(EXCESS)
    })
}

/// The contents of a small file.
#[derive(Clone, Debug)]
pub(crate) struct SmallFile {
    /// The number of its entry.
    pub(crate) id: u64,
    /// Their verdict.
    pub(crate) ending: Ending,
    /// The bytes; empty if they are omitted.
    pub(crate) contents: bytes::Bytes,
}

impl SmallFile {
    /// The bytes; none if they are omitted.
    pub(crate) fn contents(&self) -> Option<&bytes::Bytes> {
        (self.ending != Ending::Omitted).then_some(&self.contents)
    }
}
