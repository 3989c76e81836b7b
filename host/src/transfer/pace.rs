//! Who sets the pace of a transfer: the reader and the writers that are required. Another writer may keep them
//! waiting for a while in all, and is left behind then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How many of those who set the pace are at work.
pub(super) struct Pace {
    /// How long these wait for another one, in looks at it.
    patience: usize,
    /// Writers that are required and have not failed.
    required: AtomicUsize,
    /// Calls of these writers, and of the reader.
    working: AtomicUsize,
}

/// Counts somebody as working.
struct Working<'a>(&'a AtomicUsize);

impl Pace {
    /// The pace of a transfer with so many writers that are required.
    pub(super) fn new(required: usize, patience: Duration) -> Self {
        let looks = patience.as_nanos() / LOOK.as_nanos();
        Self {
            patience: usize::try_from(looks).unwrap_or(usize::MAX),
            required: AtomicUsize::new(required),
            working: AtomicUsize::new(0),
        }
    }

    /// Work of somebody who sets the pace.
    pub(super) async fn set_by<T>(&self, work: impl Future<Output = T>) -> T {
        self.working.fetch_add(1, Ordering::Relaxed);
        let _working = Working(&self.working);
        work.await
    }

    /// A writer that was required failed.
    pub(super) fn lose(&self) {
        self.required.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends when a writer at work has kept the others waiting for too long: in all, with what
    /// `waited` has of before. `holds_up` tells whether it does so while they are at work.
    pub(super) async fn outrun(&self, waited: &AtomicUsize, holds_up: impl Fn() -> bool) {
        while waited.load(Ordering::Relaxed) < self.patience {
            sleep(LOOK).await;
            let idle = self.working.load(Ordering::Relaxed) == 0;
            if self.required.load(Ordering::Relaxed) > 0 && (idle || holds_up()) {
                waited.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
