//! What a repository stands on, in one value.

use std::time::SystemTime;

use restic_repo::{Environment, Instant};

use crate::bindings::tthost::backup::progress;
use crate::directory::Directory;

/// The granted directory, and the host around it.
pub(crate) struct Platform {
    pub(crate) directory: Directory,
}

impl Environment for Platform {
    fn now(&self) -> Instant {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Instant {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            let wanted = bytes.len() - filled;
            // The host may give fewer at a time than it is asked for.
            let some = wasip3::random::random::get_random_bytes(wanted as u64);
            let count = some.len().min(wanted);
            bytes[filled..filled + count].copy_from_slice(&some[..count]);
            filled += count;
        }
    }

    fn progress(&self, what: &str, done: u64, total: u64) {
        progress::report(what, done, Some(total));
    }
}
