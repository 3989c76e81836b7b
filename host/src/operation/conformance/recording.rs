//! Records the messages, the standard error and the last calls of the plugin under test. The log of the process receives
//! them from several threads, so one recording serves the whole process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that is kept of what is said, in bytes. A plugin under test may say as much as it likes.
const MAX: usize = 16 << 20;

/// Calls that are kept: the last ones.
const CALLS: usize = 16;

/// Lines that are quoted of what was said.
const QUOTED: usize = 40;

static RECORDING: Mutex<Recording> = Mutex::new(Recording {
    said: String::new(),
    calls: VecDeque::new(),
});

struct Recording {
    said: String,
    calls: VecDeque<String>,
}

/// Records a message or a line of standard error.
pub(crate) fn record(said: &str) {
    let mut recording = lock();
    if recording.said.len() + said.len() < MAX {
        recording.said.push_str(said);
        recording.said.push('\n');
    }
}

/// Records a call.
pub(crate) fn record_call(call: &str) {
    let calls = &mut lock().calls;
    if calls.len() == CALLS {
        calls.pop_front();
    }
    calls.push_back(call.to_owned());
}

/// All that was said so far.
pub(super) fn recorded() -> String {
    lock().said.clone()
}

/// Forgets all of it.
pub(super) fn forget() {
    let recording = &mut *lock();
    recording.said.clear();
    recording.calls.clear();
}

/// A position in the recording.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

/// Remembers where a check begins.
pub(super) fn begin() -> Mark {
    let recording = &mut *lock();
    recording.calls.clear();
    Mark(recording.said.len())
}

/// The end of what was said since, and the last calls, line by line.
pub(super) fn since(mark: Mark) -> (Vec<String>, Vec<String>) {
    let recording = lock();
    let said = recording.said.get(mark.0..).unwrap_or_default();
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    let excess = lines.len().saturating_sub(QUOTED);
    lines.drain(..excess);
    (lines, recording.calls.iter().cloned().collect())
}

fn lock() -> MutexGuard<'static, Recording> {
    RECORDING.lock().unwrap_or_else(PoisonError::into_inner)
}
