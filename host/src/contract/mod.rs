//! The contract's types as the host holds them.
//!
//! A value of one of these types keeps the contract's rules: what comes from a plugin, a
//! repository or an archive becomes one by being checked, once, at the door. Two things are
//! checked apart:
//!
//! | module | holds |
//! |---|---|
//! | `entry` | one entry, and its parts that can be wrong by themselves: [`Name`], [`Permissions`], … |
//! | `sequence` | entries that are a tree together: a [`Batch`] exists only as a part of one |

mod draft;
mod entry;
mod findings;
mod freed;
mod receipt;
mod rights;
mod sequence;
mod snapshot_id;

pub use draft::Identity;
pub(crate) use draft::{Draft, Selection, WriteMode};
pub use entry::Invalid;
pub(crate) use entry::{
    AccountName, Entry, EntryKind, Instant, LinkTarget, Metadata, Name, OwnerId, Permissions, Xattr,
};
pub use findings::{Depth, Findings};
pub use freed::Freed;
pub use receipt::Receipt;
pub use rights::{Answer, Class, Rights};
#[cfg(test)]
pub(crate) use sequence::tests::entry;
pub(crate) use sequence::{Batch, Sequence};
pub use snapshot_id::SnapshotId;

/// Whether a tree is the same as its source was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// Nothing is missing.
    Complete,
    /// Something is missing, or changed while it was read.
    Incomplete,
}

/// How the contents of a file ended, when nothing failed for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The stream carried all of them.
    Whole,
    /// They cannot be had, and the entry is left out of the tree.
    Omitted,
}

/// The contents of a small file.
#[derive(Clone, Debug)]
pub(crate) struct SmallFile {
    /// The number of its entry.
    pub(crate) id: u64,
    /// None when they cannot be had.
    pub(crate) contents: Option<bytes::Bytes>,
}
