//! What was removed from a store.

/// What was removed from a store; see the contract's `reclaimed`.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Reclaimed {
    /// Objects that were removed.
    pub objects_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Objects that were written with what is still needed of those.
    pub objects_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Bytes of all data that is left.
    pub bytes_left: u64,
    /// Those of them that no snapshot needs.
    pub bytes_unused: u64,
}
