//! Ends a plugin that makes no progress and waits for nobody else. Each call goes through [`Watch::over`], so that
//! each has a timeout.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::AbortHandle;
use tokio::time::{sleep, timeout};

use super::GRACE;
use super::state::Activity;
use crate::error::{Error, Kind, Result};

/// How often it is looked at, as parts of the timeout.
const LOOKS: u32 = 20;

/// How long a plugin may tidy up in all, while it shows signs of life.
const MAX_GRACE: Duration = Duration::from_mins(1);

/// The handle to abort a plugin. Clones refer to the same plugin.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) subject: Arc<str>,
    /// The longest time without progress; unlimited if `None`.
    pub(super) timeout: Option<Duration>,
    pub(super) activity: Activity,
    /// The other plugins that it waits for, besides those that its own calls report.
    pub(super) dependencies: Dependencies,
    pub(super) plugin: AbortHandle,
}

/// What a plugin needs from other plugins before it can continue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Dependencies(Arc<Mutex<BTreeMap<u64, IsPending>>>);

/// Whether it is still pending, and the caller does not wait for the plugin itself.
type IsPending = Box<dyn Fn() -> bool + Send>;

/// Something that the plugin waits for until this is dropped.
pub(super) struct Dependency {
    dependencies: Dependencies,
    number: u64,
}

impl Dependencies {
    /// From now on the plugin waits for something, as long as `is_pending` answers so.
    pub(super) fn begin(&self, is_pending: impl Fn() -> bool + Send + 'static) -> Dependency {
        let mut dependencies = self.lock();
        let number = dependencies
            .last_key_value()
            .map_or(0, |(last, _)| last + 1);
        dependencies.insert(number, Box::new(is_pending));
        Dependency {
            dependencies: self.clone(),
            number,
        }
    }

    /// Whether the plugin waits for another party.
    fn is_any(&self) -> bool {
        self.lock().values().any(|is_pending| is_pending())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, IsPending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dependency {
    fn drop(&mut self) {
        self.dependencies.lock().remove(&self.number);
    }
}

impl Watch {
    /// Waits for the last that a plugin does, as long as it shows signs of life, and not for ever; none when it takes longer.
    pub(super) async fn over_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let ended = timeout(MAX_GRACE, async {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = stalled(GRACE, || self.activity.count(), || self.dependencies.is_any()) => None,
            }
        });
        ended.await.ok().flatten()
    }

    /// Waits for something of the plugin, unless the plugin makes no progress for as long as its stall timeout allows;
    /// then it is ended, with all that it holds. `waits` tells whether it is others who keep it from going on.
    pub(super) async fn over<T>(
        &self,
        waits: impl Fn() -> bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(timeout) = self.timeout else {
            return work.await;
        };
        tokio::select! {
            biased;
            result = work => result,
            () = stalled(timeout, || self.activity.count(), || waits() || self.dependencies.is_any()) => {
                self.plugin.abort();
                let text = format!("it made no progress for {}", jiff::SignedDuration::try_from(timeout)
                    .map_or_else(|_| format!("{timeout:?}"), |timeout| format!("{timeout:#}")));
                Err(Error::new(Kind::Unavailable, text)
                    .help("raise limits.stall-timeout if it is only slow")
                    .of(&*self.subject))
            }
        }
    }
}

/// Ends when the count of signs of life has been the same for so long, while nobody else was
/// waited for. It counts how often it looked: while this process was stopped, so was the plugin.
async fn stalled(timeout: Duration, count: impl Fn() -> u64, waits: impl Fn() -> bool) {
    let mut seen = count();
    let mut looks = 0;
    while looks < LOOKS {
        sleep(timeout / LOOKS).await;
        looks += 1;
        let now = count();
        if now != seen || waits() {
            seen = now;
            looks = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::time::Instant;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn without_a_sign_of_life_it_is_over_after_the_timeout() {
        let start = Instant::now();
        stalled(TIMEOUT, || 7, || false).await;
        assert!(start.elapsed() >= TIMEOUT);
    }

    #[tokio::test]
    async fn time_in_which_the_process_was_stopped_does_not_count() {
        let mut stalled = pin!(stalled(TIMEOUT, || 7, || false));
        assert!(timeout(TIMEOUT / 4, &mut stalled).await.is_err());
        // The whole process makes no progress.
        std::thread::sleep(TIMEOUT * 3);
        assert!(timeout(TIMEOUT / 4, &mut stalled).await.is_err());
        stalled.await;
    }

    #[test]
    fn a_debt_is_owed_until_it_is_dropped_and_while_it_says_so() {
        let dependencies = Dependencies::default();
        let is_waited_for = Arc::new(Mutex::new(false));
        let first = dependencies.begin({
            let is_waited_for = is_waited_for.clone();
            move || !*is_waited_for.lock().expect("nobody panics")
        });
        assert!(dependencies.is_any());
        *is_waited_for.lock().expect("nobody panics") = true;
        assert!(!dependencies.is_any());
        let second = dependencies.begin(|| true);
        drop(first);
        assert!(dependencies.is_any());
        drop(second);
        assert!(!dependencies.is_any());
    }

    #[tokio::test]
    async fn signs_of_life_and_waiting_for_others_put_it_off() {
        let start = Instant::now();
        let life = Cell::new(0);
        let count = || {
            if start.elapsed() < TIMEOUT * 3 {
                life.set(life.get() + 1);
            }
            life.get()
        };
        let waits = || start.elapsed() >= TIMEOUT * 3 && start.elapsed() < TIMEOUT * 5;
        stalled(TIMEOUT, count, waits).await;
        // The last check happens up to one interval before the end of the timeout.
        assert!(start.elapsed() > TIMEOUT * 11 / 2);
    }
}
