//! Standard output and standard error, which may be closed.
//!
//! At its start, Rust opens /dev/null for closed standard streams, so that no later file gets their numbers. Output to them is lost
//! silently. So this checks earlier.

use std::ffi::c_int;
use std::io::{self, Stderr, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};

static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);
static ERRORS_ARE_CLOSED: AtomicBool = AtomicBool::new(false);

/// The system calls what is listed there before the program begins.
#[used]
#[unsafe(link_section = ".init_array")]
#[expect(unsafe_code, reason = "nothing safe runs so early")]
static CHECK_STREAMS: extern "C" fn() = check_streams;

extern "C" fn check_streams() {
    OUTPUT_IS_CLOSED.store(is_closed(libc::STDOUT_FILENO), Ordering::Relaxed);
    ERRORS_ARE_CLOSED.store(is_closed(libc::STDERR_FILENO), Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "only an open descriptor has a type that is safe"
)]
fn is_closed(number: c_int) -> bool {
    // SAFETY: this asks about a number and touches no memory, whether the number is that of an open file or not.
    unsafe { libc::fcntl(number, libc::F_GETFD) == -1 }
}

/// Standard output.
pub(super) fn output() -> io::Result<Stdout> {
    if OUTPUT_IS_CLOSED.load(Ordering::Relaxed) {
        return Err(closed());
    }
    Ok(io::stdout())
}

/// Standard error.
pub(super) fn errors() -> io::Result<Stderr> {
    if ERRORS_ARE_CLOSED.load(Ordering::Relaxed) {
        return Err(closed());
    }
    Ok(io::stderr())
}

fn closed() -> io::Error {
    io::Error::other("it was closed when the program was started")
}
