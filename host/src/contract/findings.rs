//! What a check of a store found.

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte.
    Data,
}

/// What a check found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Findings {
    /// What is damaged or missing. Empty means sound.
    pub errors: Vec<String>,
    /// What is odd and harmless.
    pub warnings: Vec<String>,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// Packs that were looked at.
    pub packs: u64,
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
}
