//! What a plugin under test has said: messages come from several threads and go to the log of the process, so that there is
//! one place for all of them.

use std::sync::{Mutex, PoisonError};

/// The most that is kept, in bytes. A plugin under test may say as much as it likes.
const MOST: usize = 16 << 20;

static HEARD: Mutex<String> = Mutex::new(String::new());

/// Keeps something that was said.
pub(crate) fn hear(said: &str) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if heard.len() + said.len() < MOST {
        heard.push_str(said);
        heard.push('\n');
    }
}

/// All that was said so far.
pub(super) fn heard() -> String {
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.clone()
}
