//! Limits how long a run waits in total for a sink that is not required.
//!
//! The stall timeout of a plugin restarts with any progress. Without this limit, a sink that takes a byte now and then could
//! delay a run for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Context;
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::plugin::Repository;

/// A sink that takes so many bytes a second keeps nobody waiting: there is no slower line.
const MIN_RATE: u64 = 4 << 10;

/// A file counts as so many bytes at least: a sink may have its contents already.
const FILE: u64 = MIN_RATE;

/// How often it is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long one sink may yet keep the run waiting.
pub(super) struct Allowance {
    whole: Duration,
    left: Duration,
}

impl Allowance {
    pub(super) fn new(whole: Duration) -> Self {
        Self { whole, left: whole }
    }

    /// How long it may yet keep the run waiting.
    pub(super) fn remaining(&self) -> Duration {
        self.left
    }

    /// Others have waited for the sink so long, and it has taken this meanwhile.
    pub(super) fn charge(&mut self, waited: Duration, taken: &TakenBytes) {
        let earned = earned(taken.so_far());
        self.left = self.left.saturating_sub(waited.saturating_sub(earned));
        self.left = (self.left + earned.saturating_sub(waited)).min(self.whole);
    }

    /// Waits for the sink for at most `limit` and while the allowance lasts; none when it takes longer.
    pub(super) async fn within<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let since = Instant::now();
        let done = timeout(limit.min(self.left), work).await;
        self.left = self.left.saturating_sub(since.elapsed().min(limit));
        done.ok()
    }

    /// Closes the sink. What it holds then, it gives up, or the next command does for it.
    pub(super) async fn close(&mut self, repository: &Repository) {
        let limit = self.left;
        let closing = Box::pin(repository.close());
        if self.within(limit, closing).await.is_none() {
            warn!(
                subject = repository.subject(),
                "it did not close while the run could wait for it"
            );
        }
    }

    /// Waits for something of the sink, as long as the allowance lasts.
    pub(super) fn spend<'a, T: 'a>(
        &'a mut self,
        work: impl Future<Output = Result<T>> + 'a,
    ) -> impl Future<Output = Result<T>> + 'a {
        self.wait(None, Box::pin(work))
    }

    /// The same for a transfer into the sink. What it takes makes up for the time that it takes.
    pub(super) fn spend_on<'a, T: 'a>(
        &'a mut self,
        taken: &'a TakenBytes,
        work: impl Future<Output = Result<T>> + 'a,
    ) -> impl Future<Output = Result<T>> + 'a {
        self.wait(Some(taken), Box::pin(work))
    }

    async fn wait<T, W: Future<Output = Result<T>>>(
        &mut self,
        taken: Option<&TakenBytes>,
        mut work: Pin<Box<W>>,
    ) -> Result<T> {
        let mut seen = 0;
        loop {
            let since = Instant::now();
            let ended = tokio::select! {
                biased;
                ended = &mut work => Some(ended),
                () = sleep(POLL_INTERVAL.min(self.left)) => None,
            };
            let now = taken.map_or(0, TakenBytes::so_far);
            self.credit(now.saturating_sub(seen));
            seen = now;
            // While this process was stopped, the sink was, too.
            self.left = self.left.saturating_sub(since.elapsed().min(POLL_INTERVAL));
            match ended {
                Some(ended) => return ended,
                None if self.left.is_zero() => return Err(self.spent()),
                None => {}
            }
        }
    }

    /// Bytes that the sink takes extend its allowance.
    fn credit(&mut self, bytes: u64) {
        self.left = (self.left + earned(bytes)).min(self.whole);
    }

    fn spent(&self) -> Error {
        let whole = jiff::SignedDuration::try_from(self.whole).map_or_else(
            |_| format!("{:?}", self.whole),
            |whole| format!("{whole:#}"),
        );
        let text = format!("it kept the run waiting for {whole} in all, and hardly took anything");
        Error::new(Kind::Unavailable, text).help("raise limits.stall-timeout if it is only slow")
    }
}

/// The bytes that a sink has taken in a transfer. Clones share the counter.
#[derive(Clone, Default)]
pub(super) struct TakenBytes(Arc<AtomicU64>);

impl TakenBytes {
    /// A context for a transfer that takes note of it.
    pub(super) fn noted(context: &Context) -> (Context, Self) {
        let taken = Self::default();
        let counting = Context {
            events: Arc::new(CountingEvents {
                events: context.events.clone(),
                taken: taken.clone(),
            }),
            ..context.clone()
        };
        (counting, taken)
    }

    /// It took so many more files, and bytes of them.
    pub(super) fn note(&self, files: u64, bytes: u64) {
        self.0.fetch_add(weight(files, bytes), Ordering::Relaxed);
    }

    /// Where more bytes can be counted.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        self.0.clone()
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The time that taking so many bytes makes up for.
fn earned(bytes: u64) -> Duration {
    Duration::from_secs(bytes / MIN_RATE)
}

fn weight(files: u64, bytes: u64) -> u64 {
    bytes.saturating_add(files.saturating_mul(FILE))
}

struct CountingEvents {
    events: Arc<dyn Events>,
    taken: TakenBytes,
}

impl Events for CountingEvents {
    fn planned(&self, change: &str) {
        self.events.planned(change);
    }

    fn transferred(&self, files: u64, bytes: u64) {
        self.taken.0.store(weight(files, bytes), Ordering::Relaxed);
        self.events.transferred(files, bytes);
    }

    fn progress(&self, subject: &str, what: &str, done: u64, total: Option<u64>) {
        self.events.progress(subject, what, done, total);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const FULL: Duration = Duration::from_millis(600);

    async fn after(time: Duration) -> Result<()> {
        sleep(time).await;
        Ok(())
    }

    #[tokio::test]
    async fn what_is_waited_for_counts_in_all() {
        let mut allowance = Allowance::new(FULL);
        let start = Instant::now();
        let waited = allowance.spend(after(FULL / 2)).await;
        waited.expect("it may take so long");
        let error = allowance.spend(pending::<Result<()>>()).await;
        let error = error.expect_err("it never ends");
        assert!(error.message().contains("in all"), "{}", error.message());
        assert!(start.elapsed() < FULL * 2);
        let error = allowance.spend(after(FULL)).await;
        error.expect_err("nothing is left");
        let ready = allowance.spend(async { Ok(7) }).await;
        assert_eq!(ready.expect("nobody waits for it"), 7);
    }

    #[tokio::test]
    async fn a_sink_that_gets_on_may_take_its_time_and_one_that_trickles_may_not() {
        for (bytes, may) in [(1_000_000, true), (1, false)] {
            let mut allowance = Allowance::new(FULL);
            let taken = TakenBytes::default();
            let work = async {
                for _ in 0..6 {
                    sleep(FULL / 3).await;
                    taken.note(0, bytes);
                }
                Ok(())
            };
            let worked = allowance.spend_on(&taken, work).await;
            assert_eq!(worked.is_ok(), may);
        }
    }

    #[tokio::test]
    async fn what_a_sink_took_while_others_waited_makes_up_for_their_time() {
        for (bytes, left) in [(1_000_000, FULL), (1, Duration::ZERO)] {
            let mut allowance = Allowance::new(FULL);
            let taken = TakenBytes::default();
            allowance.charge(FULL / 2, &TakenBytes::default());
            assert_eq!(allowance.remaining(), FULL / 2);
            taken.note(0, bytes);
            allowance.charge(FULL, &taken);
            assert_eq!(allowance.remaining().is_zero(), left.is_zero(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn patience_ends_with_the_allowance() {
        let mut allowance = Allowance::new(FULL);
        let waited = allowance.within(FULL / 3, after(FULL * 9)).await;
        assert!(waited.is_none());
        assert!(allowance.remaining() <= FULL * 2 / 3);
        let start = Instant::now();
        let waited = allowance.within(FULL * 9, pending::<()>()).await;
        assert!(waited.is_none() && allowance.remaining().is_zero());
        assert!(start.elapsed() < FULL * 2);
        let ready = allowance.within(FULL, async { 7 }).await;
        assert_eq!(ready, Some(7), "nobody waits for it");
    }
}
