//! What was removed from a store.

/// What was removed from a store; see the contract's `reclaimed`.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Reclaimed {
    /// Removed objects.
    pub objects_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// New objects with the data of removed objects that is still needed.
    pub objects_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Bytes of all remaining data.
    pub bytes_left: u64,
    /// The part of them that no snapshot needs.
    pub bytes_unused: u64,
}
