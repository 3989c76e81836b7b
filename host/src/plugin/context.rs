//! What every use of plugins needs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::journal::Journal;

/// The runtime, the event sink, the cancellation token and the cleanup journal. Clones share all of them.
#[derive(Clone)]
pub struct Context {
    /// Runs the plugins.
    pub runtime: Runtime,
    /// Hears what happens.
    pub events: Arc<dyn Events>,
    /// Once cancelled, an operation kills what it started, commits nothing and
    /// ends with [`Kind::Cancelled`].
    pub cancel: CancellationToken,
    /// The cleanup that is due if the process dies.
    pub journal: Journal,
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
