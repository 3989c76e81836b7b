//! How long a run waits for a sink that is not required, in all, once the others are done.
//!
//! The stall timeout of a plugin begins anew with each sign of life. So a sink that takes a byte now and then would keep a run
//! from ending for as long as it likes.

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
const ENOUGH: u64 = 4 << 10;

/// A file counts as so many bytes at least: a sink may have its contents already.
const FILE: u64 = ENOUGH;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);

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
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// Others have waited for the sink so long, and it has taken this meanwhile.
    pub(super) fn charge(&mut self, waited: Duration, taken: &Taken) {
        let earned = earned(taken.so_far());
        self.left = self.left.saturating_sub(waited.saturating_sub(earned));
        self.left = (self.left + earned.saturating_sub(waited)).min(self.whole);
    }

    /// Waits for the sink for no longer than others have patience, and while the allowance lasts; none when it takes longer.
    pub(super) async fn patiently<T>(
        &mut self,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let since = Instant::now();
        let done = timeout(patience.min(self.left), work).await;
        self.left = self.left.saturating_sub(since.elapsed().min(patience));
        done.ok()
    }

    /// Closes the sink. What it holds then, it gives up, or the next command does for it.
    pub(super) async fn close(&mut self, repository: &Repository) {
        let patience = self.left;
        let closing = Box::pin(repository.close());
        if self.patiently(patience, closing).await.is_none() {
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
        taken: &'a Taken,
        work: impl Future<Output = Result<T>> + 'a,
    ) -> impl Future<Output = Result<T>> + 'a {
        self.wait(Some(taken), Box::pin(work))
    }

    async fn wait<T, W: Future<Output = Result<T>>>(
        &mut self,
        taken: Option<&Taken>,
        mut work: Pin<Box<W>>,
    ) -> Result<T> {
        let mut seen = 0;
        loop {
            let since = Instant::now();
            let ended = tokio::select! {
                biased;
                ended = &mut work => Some(ended),
                () = sleep(LOOK.min(self.left)) => None,
            };
            let now = taken.map_or(0, Taken::so_far);
            self.credit(now.saturating_sub(seen));
            seen = now;
            // While this process was stopped, the sink was, too.
            self.left = self.left.saturating_sub(since.elapsed().min(LOOK));
            match ended {
                Some(ended) => return ended,
                None if self.left.is_zero() => return Err(self.spent()),
                None => {}
            }
        }
    }

    /// What the sink takes makes up for time.
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

/// What a sink has taken in a transfer, in bytes. Clones are of the same.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<AtomicU64>);

impl Taken {
    /// A context for a transfer that takes note of it.
    pub(super) fn noted(context: &Context) -> (Context, Self) {
        let taken = Self::default();
        let noting = Context {
            events: Arc::new(Noting {
                events: context.events.clone(),
                taken: taken.clone(),
            }),
            ..context.clone()
        };
        (noting, taken)
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
    Duration::from_secs(bytes / ENOUGH)
}

fn weight(files: u64, bytes: u64) -> u64 {
    bytes.saturating_add(files.saturating_mul(FILE))
}

struct Noting {
    events: Arc<dyn Events>,
    taken: Taken,
}

impl Events for Noting {
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

    const WHOLE: Duration = Duration::from_millis(600);

    async fn after(time: Duration) -> Result<()> {
        sleep(time).await;
        Ok(())
    }

    #[tokio::test]
    async fn what_is_waited_for_counts_in_all() {
        let mut allowance = Allowance::new(WHOLE);
        let start = Instant::now();
        let waited = allowance.spend(after(WHOLE / 2)).await;
        waited.expect("it may take so long");
        let error = allowance.spend(pending::<Result<()>>()).await;
        let error = error.expect_err("it never ends");
        assert!(error.message().contains("in all"), "{}", error.message());
        assert!(start.elapsed() < WHOLE * 2);
        let error = allowance.spend(after(WHOLE)).await;
        error.expect_err("nothing is left");
        let ready = allowance.spend(async { Ok(7) }).await;
        assert_eq!(ready.expect("nobody waits for it"), 7);
    }

    #[tokio::test]
    async fn a_sink_that_gets_on_may_take_its_time_and_one_that_trickles_may_not() {
        for (bytes, may) in [(1_000_000, true), (1, false)] {
            let mut allowance = Allowance::new(WHOLE);
            let taken = Taken::default();
            let work = async {
                for _ in 0..6 {
                    sleep(WHOLE / 3).await;
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
        for (bytes, left) in [(1_000_000, WHOLE), (1, Duration::ZERO)] {
            let mut allowance = Allowance::new(WHOLE);
            let taken = Taken::default();
            allowance.charge(WHOLE / 2, &Taken::default());
            assert_eq!(allowance.left(), WHOLE / 2);
            taken.note(0, bytes);
            allowance.charge(WHOLE, &taken);
            assert_eq!(allowance.left().is_zero(), left.is_zero(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn patience_ends_with_the_allowance() {
        let mut allowance = Allowance::new(WHOLE);
        let waited = allowance.patiently(WHOLE / 3, after(WHOLE * 9)).await;
        assert!(waited.is_none());
        assert!(allowance.left() <= WHOLE * 2 / 3);
        let start = Instant::now();
        let waited = allowance.patiently(WHOLE * 9, pending::<()>()).await;
        assert!(waited.is_none() && allowance.left().is_zero());
        assert!(start.elapsed() < WHOLE * 2);
        let ready = allowance.patiently(WHOLE, async { 7 }).await;
        assert_eq!(ready, Some(7), "nobody waits for it");
    }
}
