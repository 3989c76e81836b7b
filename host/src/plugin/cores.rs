//! The machine's cores, for what plugins let the host compute.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::{Error, Kind, Result};

/// As many threads as there are cores, shared by all plugins: work is done in the order in
/// which it came, whether or not the plugin that asked for it has time to look. Clones share
/// the threads.
#[derive(Clone)]
pub(crate) struct Cores(Arc<ThreadPool>);

impl Cores {
    pub(super) fn new() -> Result<Self> {
        ThreadPoolBuilder::new()
            .thread_name(|number| format!("core-{number}"))
            // Whoever waits for work that panicked is told so.
            .panic_handler(drop)
            .build()
            .map(|pool| Self(Arc::new(pool)))
            .map_err(|cause| Error::new(Kind::Other, "cannot start a thread").caused_by(cause))
    }

    /// Does the work and waits for its result. The error is that of work that panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> wasmtime::Result<R> {
        Ok(self.start(work).await?)
    }

    /// Does the work, whether or not anybody waits for its result.
    pub(crate) fn start<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> oneshot::Receiver<R> {
        let (reply, result) = oneshot::channel();
        self.0.spawn_fifo(move || {
            // The plugin may have ended meanwhile.
            let _ = reply.send(work());
        });
        result
    }
}
