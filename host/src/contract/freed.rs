//! What was removed from a store.

/// What was removed of a store; see the contract's `pruned`.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Freed {
    /// Packs that were removed.
    pub packs_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Packs that were written with what is still needed of those.
    pub packs_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Bytes of all packs that are left.
    pub bytes_left: u64,
    /// Those of them that no snapshot needs.
    pub bytes_unused: u64,
}
