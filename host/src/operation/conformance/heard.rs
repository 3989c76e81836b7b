//! What goes on while a plugin is under test: what it has said, and the calls. Messages and calls come from several threads and go to
//! the log of the process, so that there is one place for all of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that is kept of what is said, in bytes. A plugin under test may say as much as it likes.
const MOST: usize = 16 << 20;

/// Calls that are kept: the last ones.
const CALLS: usize = 16;

/// Lines that are quoted of what was said.
const QUOTED: usize = 40;

static HEARD: Mutex<Heard> = Mutex::new(Heard {
    said: String::new(),
    calls: VecDeque::new(),
});

struct Heard {
    said: String,
    calls: VecDeque<String>,
}

/// Keeps something that was said.
pub(crate) fn hear(said: &str) {
    let mut heard = lock();
    if heard.said.len() + said.len() < MOST {
        heard.said.push_str(said);
        heard.said.push('\n');
    }
}

/// Keeps a call.
pub(crate) fn hear_call(call: &str) {
    let calls = &mut lock().calls;
    if calls.len() == CALLS {
        calls.pop_front();
    }
    calls.push_back(call.to_owned());
}

/// All that was said so far.
pub(super) fn heard() -> String {
    lock().said.clone()
}

/// Forgets all of it.
pub(super) fn forget() {
    let heard = &mut *lock();
    heard.said.clear();
    heard.calls.clear();
}

/// A moment of a test.
#[derive(Clone, Copy)]
pub(super) struct Moment(usize);

/// Remembers where a check begins.
pub(super) fn begin() -> Moment {
    let heard = &mut *lock();
    heard.calls.clear();
    Moment(heard.said.len())
}

/// The end of what was said since, and the last calls, line by line.
pub(super) fn since(moment: Moment) -> (Vec<String>, Vec<String>) {
    let heard = lock();
    let said = heard.said.get(moment.0..).unwrap_or_default();
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    let excess = lines.len().saturating_sub(QUOTED);
    lines.drain(..excess);
    (lines, heard.calls.iter().cloned().collect())
}

fn lock() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}
