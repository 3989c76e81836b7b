//! The current time, and waiting for a time.

use std::time::Duration;

use jiff::Timestamp;

/// A clock, which may be set while somebody waits.
pub trait Clock {
    /// What it shows.
    fn now(&self) -> Timestamp;

    /// Waits until then, and without a time for ever. It may end earlier: whoever waits looks at the
    /// clock again.
    fn wait(&self, until: Option<Timestamp>) -> impl Future<Output = ()>;
}

/// How long to trust that the clock goes on as it does: neither a machine that was suspended nor a clock
/// that was set wakes who sleeps.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn wait(&self, until: Option<Timestamp>) {
        let left = until.map_or(MAX_SLEEP, |until| {
            let left = until.duration_since(self.now());
            left.try_into().unwrap_or(Duration::ZERO)
        });
        tokio::time::sleep(left.min(MAX_SLEEP)).await;
    }
}
