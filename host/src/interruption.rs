//! The signal that cancels the operation. Signals are per process, and so is this state.

use std::sync::atomic::{AtomicU8, Ordering};

/// Its number, 0 as long as there was none.
static CAUGHT: AtomicU8 = AtomicU8::new(0);

/// A signal came.
pub(crate) fn catch(signal: u8) {
    CAUGHT.store(signal, Ordering::Relaxed);
}

/// The number of the signal, if one came.
pub(crate) fn caught() -> Option<u8> {
    Some(CAUGHT.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}
