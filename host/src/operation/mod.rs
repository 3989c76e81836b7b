//! What an operator does, each as one function: back up, list, restore, copy, check, prune, probe,
//! create.

mod backup;
mod caller;
mod check;
mod copy;
mod directories;
mod probe;
mod prune;
mod receipt;
mod restore;
mod snapshot;
mod store;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::plugin::Runtime;

pub use backup::{Backup, BackupReport, backup};
pub use check::{Depth, Findings, check};
pub use copy::{Copied, Copy, Wanted, copy};
pub use probe::{Answer, Class, Rights, probe};
pub use prune::{Freed, Judged, Prune, PruneReport, Pruned, prune};
pub use receipt::Receipt;
pub use restore::{Restore, RestoreReport, Target, restore};
pub use snapshot::{Filter, Snapshot, Which, find, snapshots};
pub use store::{Identity, create};

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

impl Context {
    /// Does the work, unless the operator interrupts it.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(Kind::Cancelled, "interrupted")),
            result = work => result,
        }
    }
}
