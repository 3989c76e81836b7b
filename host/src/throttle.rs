//! Limits the output of an untrusted party: a burst at first, then a rate. Excess output is dropped and counted, so
//! that nobody can fill a disk, hide a message, or keep a terminal busy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Messages that may come at once.
const BURST: f64 = 1000.0;

/// Messages that may come in each second after that.
const PER_SECOND: f64 = 20.0;

/// A longer message counts as several.
const BYTES: usize = 256;

/// How often it is told what was dropped.
const INTERVAL: Duration = Duration::from_secs(10);

/// The messages of one speaker. Its end tells how many were dropped since that was last told.
#[derive(Debug)]
pub(crate) struct Throttle {
    subject: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Messages that may still come.
    left: f64,
    /// When that was so.
    since: Instant,
    /// Messages that were dropped and of which nothing was said yet.
    dropped: u64,
    /// When it was last told what was dropped.
    reported: Option<Instant>,
}

impl Throttle {
    /// Of a speaker that the operator knows as this.
    pub(crate) fn new(subject: Arc<str>) -> Self {
        Self {
            subject,
            state: Mutex::new(State {
                left: BURST,
                since: Instant::now(),
                dropped: 0,
                reported: None,
            }),
        }
    }

    /// Tells a message of this length in bytes, unless too much was said.
    pub(crate) fn emit(&self, length: usize, log: impl FnOnce(&str)) {
        let (is_allowed, dropped) = self.state().admit(length, Instant::now());
        self.report_drops(dropped);
        if is_allowed {
            log(&self.subject);
        }
    }

    fn report_drops(&self, dropped: u64) {
        if dropped > 0 {
            let subject = &*self.subject;
            warn!(subject, "it says too much; messages dropped: {dropped}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let dropped = self.state().dropped;
        self.report_drops(dropped);
    }
}

impl State {
    /// Whether a message may be told, and how many drops are to be told before it.
    fn admit(&mut self, length: usize, now: Instant) -> (bool, u64) {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * PER_SECOND).min(BURST);
        self.since = now;
        let cost = 1.0 + (length / BYTES) as f64;
        let is_allowed = self.left >= cost;
        if is_allowed {
            self.left -= cost;
        } else {
            self.dropped += 1;
        }
        let is_due = self
            .reported
            .is_none_or(|reported| now.saturating_duration_since(reported) >= INTERVAL);
        if self.dropped == 0 || !is_due {
            return (is_allowed, 0);
        }
        self.reported = Some(now);
        (is_allowed, std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::diary;

    #[tokio::test]
    async fn a_flood_is_dropped_and_every_drop_is_counted() {
        let throttle = Throttle::new("source test".into());
        let start = Instant::now();
        let (mut spoken, mut dropped) = (0, 0);
        // A million messages in 100 seconds.
        for number in 0..1_000_000_u32 {
            let now = start + Duration::from_micros(100) * number;
            let (is_allowed, before) = throttle.state().admit(10, now);
            spoken += u64::from(is_allowed);
            dropped += before;
        }
        assert!((2990..=3010).contains(&spoken), "{spoken}");
        let rest = throttle.state().dropped;
        assert_eq!(spoken + dropped + rest, 1_000_000);
        let ((), reported) = diary::of(async { drop(throttle) }).await;
        assert!(
            reported[0].1.ends_with(&format!("dropped: {rest}")),
            "{reported:?}"
        );
    }

    #[test]
    fn a_long_message_counts_as_several() {
        let throttle = Throttle::new("source test".into());
        let now = Instant::now();
        let spoken = (0..1000).filter(|_| throttle.state().admit(8 << 10, now).0);
        assert_eq!(spoken.count(), 30);
    }

    #[test]
    fn who_says_little_is_heard_for_ever() {
        let throttle = Throttle::new("source test".into());
        let start = Instant::now();
        for second in 0..10_000 {
            let now = start + Duration::from_secs(second);
            assert_eq!(throttle.state().admit(100, now), (true, 0));
        }
    }
}
