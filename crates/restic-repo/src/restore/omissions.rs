//! Records damaged entries that a reader skips.

use std::cell::Cell;
use std::rc::Rc;

use crate::backup::Completeness;
use crate::error::corrupt;
use crate::{Error, Platform, Result};

/// Whether damage is left out, and whether some was. Whoever reads a part of a snapshot has a clone.
#[derive(Clone)]
pub(super) struct Omissions {
    are_allowed: bool,
    happened: Rc<Cell<bool>>,
}

impl Omissions {
    /// None yet.
    pub(super) fn new(are_allowed: bool) -> Self {
        Self {
            are_allowed,
            happened: Rc::default(),
        }
    }

    pub(super) fn are_allowed(&self) -> bool {
        self.are_allowed
    }

    /// Nothing for what is damaged and left out, which the operator is told. Otherwise the error names the path.
    pub(super) fn spare<T>(
        &self,
        platform: &impl Platform,
        path: impl FnOnce() -> String,
        read: Result<T>,
    ) -> Result<Option<T>> {
        let error = match read {
            Err(error @ (Error::Corrupt(_) | Error::NotFound(_))) => at(&path(), error),
            read => return read.map(Some),
        };
        if !self.are_allowed {
            return Err(error);
        }
        platform.warn(&format!("{error}: left out"));
        self.happened.set(true);
        Ok(None)
    }

    /// Whether nothing was left out.
    pub(super) fn completeness(&self) -> Completeness {
        if self.happened.get() {
            Completeness::Incomplete
        } else {
            Completeness::Complete
        }
    }
}

/// The error of something that is damaged, with its path.
pub(super) fn at(path: &str, error: Error) -> Error {
    match error {
        Error::Corrupt(text) | Error::NotFound(text) => corrupt(format!("{path}: {text}")),
        error => error,
    }
}
