//! What a writer did.

use super::SnapshotId;

/// What a writer did; see the contract's `receipt`. Bytes are counted before
/// compression, except as stored.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Receipt {
    /// The new snapshot's id, none after a dry run or a restoration.
    #[serde(rename = "snapshot_id")]
    pub snapshot: Option<SnapshotId>,
    /// Files that the parent snapshot did not have.
    pub files_new: u64,
    /// Files that it had with other contents or metadata.
    pub files_changed: u64,
    /// Files that it had unchanged.
    pub files_unmodified: u64,
    /// Directories that it did not have.
    #[serde(rename = "dirs_new")]
    pub directories_new: u64,
    /// Directories that it had with other contents or metadata.
    #[serde(rename = "dirs_changed")]
    pub directories_changed: u64,
    /// Directories that it had unchanged.
    #[serde(rename = "dirs_unmodified")]
    pub directories_unmodified: u64,
    /// New objects of the store, in the units of its format.
    pub objects_added: u64,
    /// Bytes of the new objects.
    #[serde(rename = "data_added")]
    pub bytes_added: u64,
    /// The same as stored: compressed and encrypted.
    #[serde(rename = "data_added_packed")]
    pub bytes_stored: u64,
    /// Files seen.
    #[serde(rename = "total_files_processed")]
    pub files_total: u64,
    /// The sum of their sizes in bytes.
    #[serde(rename = "total_bytes_processed")]
    pub bytes_total: u64,
    /// Entries that a restoration removed.
    #[serde(skip)]
    pub removed: u64,
    /// Entries that a restoration could not write. The log names them.
    #[serde(skip)]
    pub failed: u64,
}
