//! Logs the problems of single files, and records whether there were any.

use std::cell::Cell;

use tthost_plugin::tree::Completeness;
use tthost_plugin::{Error, Level, log};

/// After so many warnings, the rest is only counted.
const MAX: u64 = 100;

/// Warns the operator of missing and changed files.
#[derive(Default)]
pub(crate) struct Notes {
    problems: Cell<u64>,
}

impl Notes {
    /// Something cannot be read.
    pub(crate) fn unreadable(&self, path: &[u8], cause: &Error) {
        let text = match cause {
            Error::NotFound(text) | Error::Denied(text) | Error::Other(text) => text,
            other => &format!("{other:?}"),
        };
        self.problem(path, &format!("cannot be read and is left out: {text}"));
    }

    /// A file changed while it was read.
    pub(crate) fn changed(&self, path: &[u8]) {
        self.problem(path, "changed while it was read");
    }

    /// Something is left out that no restoration could bring back, which is not a problem.
    pub(crate) fn skipped(path: &[u8], what: &str) {
        log(Level::Warn, &format!("{} {what}", shown(path)));
    }

    /// The verdict on the whole.
    pub(crate) fn completeness(&self) -> Completeness {
        match self.problems.get() {
            0 => Completeness::Complete,
            problems => {
                if let Some(more @ 1..) = problems.checked_sub(MAX) {
                    log(Level::Warn, &format!("and {more} more like these"));
                }
                Completeness::Incomplete
            }
        }
    }

    fn problem(&self, path: &[u8], what: &str) {
        let problems = self.problems.get() + 1;
        self.problems.set(problems);
        if problems <= MAX {
            log(Level::Warn, &format!("{} {what}", shown(path)));
        }
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
