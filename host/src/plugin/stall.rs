//! A plugin that makes no progress, while all that it waits for is there, is given up: whoever shares a transfer with it
//! would wait for ever. Each call goes through [`Watch::over`], so that there is none that nobody watches.

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
const LONGEST_GRACE: Duration = Duration::from_mins(1);

/// What it takes to give up a plugin. Clones are of the same one.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) subject: Arc<str>,
    /// How long it may make no progress; as long as it likes where there is none.
    pub(super) timeout: Option<Duration>,
    pub(super) activity: Activity,
    /// What it waits for of others, besides what a call of its own tells.
    pub(super) owed: Owed,
    pub(super) plugin: AbortHandle,
}

/// What other plugins owe to one. Clones are of the same one's.
#[derive(Clone, Default)]
pub(super) struct Owed(Arc<Mutex<BTreeMap<u64, IsOwed>>>);

/// Whether something is still owed, and the plugin that waits for it is not itself waited for.
type IsOwed = Box<dyn Fn() -> bool + Send>;

/// Something that is owed until this is dropped.
pub(super) struct Debt {
    owed: Owed,
    number: u64,
}

impl Owed {
    /// Something that is owed from now on, whenever this says so.
    pub(super) fn begin(&self, is_owed: impl Fn() -> bool + Send + 'static) -> Debt {
        let mut debts = self.lock();
        let number = debts.last_key_value().map_or(0, |(last, _)| last + 1);
        debts.insert(number, Box::new(is_owed));
        Debt {
            owed: self.clone(),
            number,
        }
    }

    /// Whether the plugin waits for somebody.
    fn is_any(&self) -> bool {
        self.lock().values().any(|is_owed| is_owed())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, IsOwed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.owed.lock().remove(&self.number);
    }
}

impl Watch {
    /// Waits for the last that a plugin does, as long as it shows signs of life, and not for ever; none when it takes longer.
    pub(super) async fn over_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let ended = timeout(LONGEST_GRACE, async {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = stalled(GRACE, || self.activity.count(), || self.owed.is_any()) => None,
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
            () = stalled(timeout, || self.activity.count(), || waits() || self.owed.is_any()) => {
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
        // Nothing of this process gets on.
        std::thread::sleep(TIMEOUT * 3);
        assert!(timeout(TIMEOUT / 4, &mut stalled).await.is_err());
        stalled.await;
    }

    #[test]
    fn a_debt_is_owed_until_it_is_dropped_and_while_it_says_so() {
        let owed = Owed::default();
        let is_waited_for = Arc::new(Mutex::new(false));
        let first = owed.begin({
            let is_waited_for = is_waited_for.clone();
            move || !*is_waited_for.lock().expect("nobody panics")
        });
        assert!(owed.is_any());
        *is_waited_for.lock().expect("nobody panics") = true;
        assert!(!owed.is_any());
        let second = owed.begin(|| true);
        drop(first);
        assert!(owed.is_any());
        drop(second);
        assert!(!owed.is_any());
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
        // The last look at who is waited for is up to one look before the end of that.
        assert!(start.elapsed() > TIMEOUT * 11 / 2);
    }
}
