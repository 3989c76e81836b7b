//! How the parts of a command went, and the exit code of that.

use super::exit;
use crate::error::{Error, Kind};

/// How many parts of a command went well, and how the others failed.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) made: usize,
    pub(super) errors: Vec<Error>,
    /// A part failed without which the rest is worth nothing: the exit code of the first such.
    pub(super) required: Option<u8>,
    /// Something could not be read, or changed meanwhile.
    pub(super) incomplete: bool,
}

impl Tally {
    pub(super) fn exit_code(&self) -> u8 {
        match (self.errors.first(), self.required) {
            (None, _) if self.incomplete => exit::INCOMPLETE,
            (None, _) => 0,
            (Some(error), _) if error.kind() == Kind::Cancelled => error.exit_code(),
            (Some(_), Some(code)) => code,
            (Some(error), None) if self.made == 0 => error.exit_code(),
            (Some(_), None) => exit::INCOMPLETE,
        }
    }
}
