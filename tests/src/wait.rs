//! Waiting for what another process does.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Waits until `done`, and fails after a minute.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !done() {
        ensure!(
            start.elapsed() < Duration::from_mins(1),
            "waited in vain until {what}"
        );
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
