//! The operations: run, list snapshots and files, restore, drill, dump, copy, check, prune, unlock, probe, init, and
//! the steps of a schedule.
//!
//! Each is a function from a plan to a report. A plan names plugins and their grants, and needs no
//! configuration; a [`Report`] serialises, has a schema, and its verdict has the exit code.

mod advice;
mod allowance;
mod backup;
pub mod check;
mod confirmation;
pub mod conformance;
pub mod copy;
mod counting;
mod create;
pub mod drill;
pub mod dump;
pub mod examine;
pub mod init;
mod late;
pub mod ls;
pub mod plugins;
pub mod probe;
pub mod prune;
mod quiesced;
mod recover;
mod replaced;
pub mod restore;
mod rotation;
pub mod run;
pub mod scheduled;
mod sink_state;
pub mod snapshot;
mod task;
pub mod unlock;
mod verdict;

use tracing::Instrument as _;

use crate::error::{Error, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

pub use crate::contract::{
    Answer, Class, Fate, Finding, Findings, Identity, Kept, Place, Receipt, Reclaimed, Rights,
    Severity, Usage,
};
pub use crate::plugin::Context;
pub use crate::snapshot::{Filter, OfSource, Snapshot, SnapshotFolder, SnapshotRef};
pub use check::check;
pub use copy::copy;
pub use create::{Created, create};
pub use drill::drill;
pub use dump::dump;
pub use examine::{examine, examine_command};
pub use init::init;
pub use ls::ls;
pub use probe::probe;
pub use prune::prune;
pub use recover::recover;
pub use replaced::{Loss, Replaced};
pub use restore::restore;
pub use run::run;
pub use scheduled::scheduled;
pub use snapshot::{Snapshots, find, snapshots};
pub use unlock::unlock;
pub use verdict::{Report, Verdict};

/// A sink of a command that works on several.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The plugin with its settings, grants and limits.
    pub spec: Spec,
    /// Without it, the rest is worth nothing: a command that fails here has failed, and not only
    /// in part.
    pub required: bool,
}

/// A sink of a command that works on several, whose configuration is wrong. The command does
/// without it.
#[derive(Clone, Debug)]
pub struct Unusable {
    /// The sink's name.
    pub sink: String,
    /// The error in its configuration.
    pub error: Error,
}

/// The access of a command to a store.
fn access(dry_run: bool) -> Access {
    if dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    }
}

/// Opens the repository of a sink. Its plugin runs in the span of the sink from then on.
async fn open(context: &Context, sink: &Spec, access: Access) -> Result<Repository> {
    Repository::open(context, sink, access)
        .instrument(sink.span())
        .await
}
