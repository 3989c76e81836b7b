//! Locks of runs that are under way. The kernel releases the lock of a process that ends, however it ends and also in
//! another container.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::own_file;

/// Where the locks are.
const DIRECTORY: &str = "running";

/// The lock of a run that is under way.
#[derive(Debug)]
pub(super) struct RunLock {
    path: PathBuf,
    _lock: File,
}

impl RunLock {
    /// Takes the lock of a run.
    pub(super) fn take(state: &Path, run: i64) -> io::Result<Self> {
        let directory = state.join(DIRECTORY);
        fs::create_dir_all(&directory)?;
        let path = directory.join(run.to_string());
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = own_file::open(&options, &path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, _lock: file })
    }

    /// Takes it away.
    pub(super) fn release(self) {
        // A file without a lock says the same.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a run goes on.
pub(super) fn is_alive(state: &Path, run: i64) -> bool {
    let path = state.join(DIRECTORY).join(run.to_string());
    match own_file::open(File::options().read(true), &path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
        // Who may not look had better not call it dead.
        Err(cause) => cause.kind() != ErrorKind::NotFound,
    }
}

/// Removes what runs left that died.
pub(super) fn remove_stale(state: &Path) {
    let Ok(signs) = fs::read_dir(state.join(DIRECTORY)) else {
        return;
    };
    for lock in signs.flatten() {
        let run = lock.file_name().to_str().and_then(|name| name.parse().ok());
        if run.is_some_and(|run| !is_alive(state, run)) {
            let _ = fs::remove_file(lock.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_alive_as_long_as_it_holds_its_sign() {
        let state = tempfile::tempdir().expect("there is room");
        let state = state.path();
        assert!(!is_alive(state, 1));
        let lock = RunLock::take(state, 1).expect("there is room");
        assert!(is_alive(state, 1));
        // As a process that is killed does.
        drop(lock);
        assert!(!is_alive(state, 1));
        RunLock::take(state, 2).expect("there is room").release();
        remove_stale(state);
        let left = fs::read_dir(state.join(DIRECTORY)).expect("it is there");
        assert_eq!(left.count(), 0);
    }
}
