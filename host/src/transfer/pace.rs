//! Tracks who sets the pace of a transfer: the reader and the required writers. Another writer may delay them for a
//! limited time, and is left behind after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// How often it is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The number of participants that set the pace and are working.
pub(super) struct Pace {
    /// Writers that are required and have not failed.
    required: AtomicUsize,
    /// Calls of these writers, and of the reader.
    working: AtomicUsize,
}

/// How long the others have waited for a writer. Clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Wait(Arc<AtomicUsize>);

impl Wait {
    /// In all, by now.
    pub(crate) fn so_far(&self) -> Duration {
        let looks = self.0.load(Ordering::Relaxed);
        POLL_INTERVAL.saturating_mul(u32::try_from(looks).unwrap_or(u32::MAX))
    }
}

/// Counts one participant as working.
struct Working<'a>(&'a AtomicUsize);

impl Pace {
    /// The pace of a transfer with so many writers that are required.
    pub(super) fn new(required: usize) -> Self {
        Self {
            required: AtomicUsize::new(required),
            working: AtomicUsize::new(0),
        }
    }

    /// The work of a participant that sets the pace.
    pub(super) async fn set_by<T>(&self, work: impl Future<Output = T>) -> T {
        self.working.fetch_add(1, Ordering::Relaxed);
        let _working = Working(&self.working);
        work.await
    }

    /// A writer that was required failed.
    pub(super) fn remove_required(&self) {
        self.required.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends when a writer at work has kept the others waiting for longer than `max_lag`: in all, with what
    /// `waited` has of before. `holds_up` tells whether it does so while they are at work.
    pub(super) async fn outrun(
        &self,
        max_lag: Duration,
        waited: &Wait,
        holds_up: impl Fn() -> bool,
    ) {
        while waited.so_far() < max_lag {
            sleep(POLL_INTERVAL).await;
            let idle = self.working.load(Ordering::Relaxed) == 0;
            if self.required.load(Ordering::Relaxed) > 0 && (idle || holds_up()) {
                waited.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
