//! Background work.

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::error::{Error, Kind, Result};

/// Work that was started.
pub(super) struct Task<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    /// Starts it, in the caller's span.
    pub(super) fn start(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(tokio::spawn(work.in_current_span()))
    }

    /// Waits for its end. After a cancelled wait, the caller can wait again.
    pub(super) async fn end(&mut self) -> Result<T> {
        let ended = (&mut self.0).await;
        ended.unwrap_or_else(|cause| {
            Err(Error::new(Kind::Other, "the work broke off").caused_by(cause))
        })
    }

    /// Ends it.
    pub(super) fn abort(&self) {
        self.0.abort();
    }
}
