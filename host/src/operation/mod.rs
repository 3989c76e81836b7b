//! What an operator does, each as one function: back up, list, restore, check, create.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::event::Events;
use crate::plugin::{Runtime, Spec};

/// What every operation needs: the runtime, somebody to tell, and a way to stop.
#[derive(Clone)]
pub struct Context {
    /// Runs the plugins.
    pub runtime: Runtime,
    /// Hears what happens.
    pub events: Arc<dyn Events>,
    /// Once cancelled, the operation kills what it started, commits nothing and
    /// ends with [`crate::error::Kind::Cancelled`].
    pub cancel: CancellationToken,
}

/// One capture, to be stored in every one of the sinks.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What is backed up.
    pub source: Spec,
    /// Where it goes. Not empty.
    pub sinks: Vec<Spec>,
    /// The snapshots' tags.
    pub tags: Vec<String>,
    /// The host that the snapshots bear; this machine's name when none.
    pub hostname: Option<String>,
    /// Read and compute everything, store nothing.
    pub dry_run: bool,
}

/// How a backup went. There is one even when every sink failed.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// What each sink says, in the order of the request.
    pub sinks: Vec<(String, Result<Receipt>)>,
    /// The time that the snapshots bear.
    pub time: Timestamp,
    /// Files and bytes that came from the source.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// What a writer did; see the contract's `receipt`. Bytes are counted before
/// compression, except `bytes_stored`.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Receipt {
    /// The new snapshot's id, none after a dry run or a restoration.
    pub snapshot: Option<String>,
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
    /// Blobs of contents that were not in the store before.
    pub data_blobs: u64,
    /// Blobs of listings that were not in the store before.
    pub tree_blobs: u64,
    /// Bytes that were not in the store before.
    pub bytes_added: u64,
    /// The same as stored: compressed and encrypted.
    pub bytes_stored: u64,
    /// Files seen.
    pub files_total: u64,
    /// The sum of their sizes in bytes.
    pub bytes_total: u64,
}

/// A snapshot in a store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// Its full id.
    pub id: String,
    /// When it was taken.
    pub time: Timestamp,
    /// The host whose data it is.
    pub hostname: String,
    /// The user who took it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The paths that it holds.
    pub paths: Vec<String>,
    /// Name and version of the program that made it, where it said so.
    pub program: Option<String>,
    /// Files of its tree, where it says so.
    pub files: Option<u64>,
    /// Bytes of its tree, where it says so.
    pub bytes: Option<u64>,
    /// Bytes that it added to the store before compression, where it says so.
    pub bytes_added: Option<u64>,
    /// The same as stored.
    pub bytes_stored: Option<u64>,
}

/// A store that exists.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Identity {
    /// The store's own id.
    pub id: String,
    /// The version of its format.
    pub version: u32,
}

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

/// Which snapshots a command means.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of these hosts, when not empty.
    pub hosts: Vec<String>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
    /// Only with all of these paths.
    pub paths: Vec<String>,
}

/// Which snapshot to restore.
#[derive(Clone, Debug)]
pub enum Which {
    /// The newest that passes the filter.
    Latest(Filter),
    /// The one with this id or unique prefix.
    Id(String),
}

/// A snapshot, or part of it, to be put somewhere.
pub struct Restore {
    /// The store that has it.
    pub sink: Spec,
    /// Which one.
    pub which: Which,
    /// Only what is at or below these paths; all when empty.
    pub paths: Vec<Vec<u8>>,
    /// Where to.
    pub target: Target,
    /// Say what would happen, change nothing.
    pub dry_run: bool,
}

/// Where a restored tree goes.
pub enum Target {
    /// Back through a source, to another place than it came from when one is named.
    Source {
        /// The source that takes it.
        spec: Box<Spec>,
        /// What the source calls the place: a database, a directory.
        place: Option<String>,
    },
    /// Into a directory, which is created when it is missing.
    Directory(PathBuf),
    /// The contents of the one file that the selection holds.
    Stream(Pin<Box<dyn AsyncWrite + Send>>),
}

/// How a restoration went.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RestoreReport {
    /// The snapshot that was read.
    pub snapshot: Snapshot,
    /// Files that were restored, or would have been.
    pub files: u64,
    /// Their bytes; 0 in a dry run, which reads none.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Takes one capture and stores it in every sink.
///
/// The error is one of the source or of the request; what a single sink says is in
/// the report.
pub async fn backup(_context: &Context, _backup: Backup) -> Result<BackupReport> {
    Err(Error::new(crate::error::Kind::Other, "not written"))
}

/// Lists the snapshots that pass the filter, the oldest first.
pub async fn snapshots(_context: &Context, _sink: Spec, _filter: &Filter) -> Result<Vec<Snapshot>> {
    unimplemented!()
}

/// Checks a store.
pub async fn check(_context: &Context, _sink: Spec, _depth: Depth) -> Result<Findings> {
    unimplemented!()
}

/// Makes a new store.
pub async fn create(_context: &Context, _sink: Spec) -> Result<Identity> {
    unimplemented!()
}

/// Finds the snapshot that a restoration would read, without reading it.
pub async fn find(_context: &Context, _sink: Spec, _which: &Which) -> Result<Snapshot> {
    unimplemented!()
}

/// Puts a snapshot, or part of it, somewhere.
pub async fn restore(_context: &Context, _restore: Restore) -> Result<RestoreReport> {
    unimplemented!()
}
