//! A sink that makes no progress, while all that it waits for is there, is given up: whoever shares
//! a capture with it would wait for ever.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Instance;
use crate::error::{Error, Kind, Result};

/// How often it is looked at, as parts of the timeout.
const LOOKS: u32 = 20;

/// Does a call of a sink, unless the sink makes no progress for as long as its stall timeout allows;
/// then the plugin is ended, with all that it holds. `waits` tells whether it is others who keep
/// it from going on.
pub(crate) async fn unless_stalled<T>(
    plugin: &Instance,
    waits: impl Fn() -> bool,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(timeout) = plugin.stall_timeout() else {
        return call.await;
    };
    tokio::select! {
        biased;
        result = call => result,
        () = stalled(timeout, || plugin.signs_of_life(), waits) => {
            plugin.end();
            let text = format!("it made no progress for {}", jiff::SignedDuration::try_from(timeout)
                .map_or_else(|_| format!("{timeout:?}"), |timeout| format!("{timeout:#}")));
            Err(Error::new(Kind::Unavailable, text)
                .help("raise limits.stall-timeout if the sink is only slow")
                .of(plugin.subject()))
        }
    }
}

/// Ends when the count of signs of life has been the same for so long, while nobody else was
/// waited for.
async fn stalled(timeout: Duration, count: impl Fn() -> u64, waits: impl Fn() -> bool) {
    let mut seen = count();
    let mut since = Instant::now();
    while since.elapsed() < timeout {
        sleep(timeout / LOOKS).await;
        let now = count();
        if now != seen || waits() {
            seen = now;
            since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn without_a_sign_of_life_it_is_over_after_the_timeout() {
        let start = Instant::now();
        stalled(TIMEOUT, || 7, || false).await;
        assert!(start.elapsed() >= TIMEOUT);
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
