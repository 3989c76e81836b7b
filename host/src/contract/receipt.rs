//! What a writer did.

use super::SnapshotId;

/// What a writer did; see the contract's `receipt`. Bytes are counted before
/// compression, except `bytes_stored`.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Receipt {
    /// The new snapshot's id, none after a dry run or a restoration.
    pub snapshot: Option<SnapshotId>,
    /// Files that the parent snapshot did not have.
    pub files_new: u64,
    /// Files that it had with other contents or metadata.
    pub files_changed: u64,
    /// Files that it had as they are.
    pub files_unmodified: u64,
    /// The same for directories.
    pub directories_new: u64,
    /// The same for directories.
    pub directories_changed: u64,
    /// The same for directories.
    pub directories_unmodified: u64,
    /// Objects that were not in the store before, of whatever kind its format has.
    pub objects_added: u64,
    /// Bytes that were not in the store before.
    pub bytes_added: u64,
    /// The same as stored: compressed and encrypted.
    pub bytes_stored: u64,
    /// Files seen.
    pub files_total: u64,
    /// The sum of their sizes in bytes.
    pub bytes_total: u64,
    /// Things that a restoration removed.
    pub removed: u64,
}
