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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_required_decides_the_exit_code_and_others_make_it_incomplete() {
        let error = |kind| Error::new(kind, "why");
        for (made, required, errors, incomplete, code) in [
            (2, None, vec![], false, 0),
            (2, None, vec![], true, 3),
            (1, None, vec![Kind::Unavailable], false, 3),
            (1, Some(1), vec![Kind::Unavailable, Kind::Plugin], false, 1),
            (1, Some(11), vec![Kind::Locked], false, 11),
            (0, Some(1), vec![Kind::Locked, Kind::Plugin], false, 1),
            (0, None, vec![Kind::Locked], false, 11),
            (1, Some(11), vec![Kind::Cancelled], false, 130),
        ] {
            let tally = Tally {
                made,
                errors: errors.iter().copied().map(error).collect(),
                required,
                incomplete,
            };
            assert_eq!(tally.exit_code(), code, "{made} {required:?} {errors:?}");
        }
    }
}
