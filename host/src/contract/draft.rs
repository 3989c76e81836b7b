//! What a snapshot says of itself, and which part of one is read.

use vec1::Vec1;

use super::{Instant, SnapshotId};

/// A snapshot before its tree is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// The time that the snapshot bears.
    pub(crate) time: Instant,
    /// The host whose data this is.
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) tags: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) mode: WriteMode,
}

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteMode {
    /// Do all the work and report it, store nothing.
    pub(crate) dry_run: bool,
    /// Take no file for unchanged: ask for all contents.
    pub(crate) force: bool,
}

/// Which part of a snapshot to read.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The id of the snapshot.
    pub(crate) snapshot: SnapshotId,
    /// Only what is at or below one of these paths.
    pub(crate) paths: Option<Vec1<Vec<u8>>>,
    /// How many levels below the paths are read; all where there is none.
    pub(crate) levels: Option<u32>,
}

/// A store that exists.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Identity {
    /// The store's own id.
    pub id: String,
    /// The version of its format.
    #[serde(rename = "format_version")]
    pub version: u32,
}
