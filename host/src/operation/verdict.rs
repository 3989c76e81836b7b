//! The outcome of a command with all its parts.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, INCOMPLETE, Kind};

/// The report of a command: its fields, and the verdict on all of it.
pub trait Report: Serialize + JsonSchema {
    /// How the command ended.
    fn verdict(&self) -> Verdict {
        Verdict::Done
    }
}

/// The outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was done.
    Done,
    /// Some parts succeeded and some failed, or a part is incomplete.
    Incomplete,
    /// Everything failed, or a required part failed.
    Failed(Kind),
}

impl Verdict {
    /// The exit code of a program that ends with it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => INCOMPLETE,
            Self::Failed(kind) => kind.exit_code(),
        }
    }

    /// Its name in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Incomplete => "incomplete",
            Self::Failed(_) => "failed",
        }
    }

    /// The worse of two; of two failures the first, unless the other is an interruption.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 1,
            Self::Failed(Kind::Cancelled) => 3,
            Self::Failed(_) => 2,
        }
    }
}

/// Counts the results of the parts of a command.
#[derive(Default)]
pub(super) struct Tally {
    succeeded: usize,
    /// The first failure.
    failed: Option<Kind>,
    /// The first failure of a required part.
    required: Option<Kind>,
    incomplete: bool,
}

impl Tally {
    /// A part succeeded.
    pub(super) fn success(&mut self) {
        self.succeeded += 1;
    }

    /// A part failed. A required part fails the command.
    pub(super) fn failure(&mut self, error: &Error, required: bool) {
        self.failed.get_or_insert(error.kind());
        if required {
            self.required.get_or_insert(error.kind());
        }
    }

    /// Something could not be read, or changed while it was read.
    pub(super) fn incomplete(&mut self) {
        self.incomplete = true;
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (self.failed, self.required) {
            (None, _) if self.incomplete => Verdict::Incomplete,
            (None, _) => Verdict::Done,
            (Some(Kind::Cancelled), _) => Verdict::Failed(Kind::Cancelled),
            (_, Some(kind)) => Verdict::Failed(kind),
            (Some(kind), None) if self.succeeded == 0 => Verdict::Failed(kind),
            (Some(_), None) => Verdict::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_verdicts_counts_and_of_two_failures_the_first() {
        let [locked, corrupt, cancelled] =
            [Kind::Locked, Kind::Corrupt, Kind::Cancelled].map(Verdict::Failed);
        assert_eq!(
            Verdict::Done.or_worse(Verdict::Incomplete),
            Verdict::Incomplete
        );
        assert_eq!(locked.or_worse(Verdict::Incomplete), locked);
        assert_eq!(locked.or_worse(corrupt), locked);
        assert_eq!(locked.or_worse(cancelled), cancelled);
    }

    #[test]
    fn a_part_that_is_required_decides_the_verdict_and_others_make_it_incomplete() {
        let (optional, required) = (false, true);
        for (succeeded, failures, incomplete, exit_code) in [
            (2, vec![], false, 0),
            (2, vec![], true, 3),
            (1, vec![(Kind::Unavailable, optional)], false, 3),
            (
                1,
                vec![(Kind::Locked, optional), (Kind::Plugin, required)],
                false,
                1,
            ),
            (1, vec![(Kind::Locked, required)], false, 11),
            (
                0,
                vec![(Kind::Locked, optional), (Kind::Plugin, required)],
                false,
                1,
            ),
            (0, vec![(Kind::Locked, optional)], false, 11),
            (
                1,
                vec![(Kind::Cancelled, optional), (Kind::Locked, required)],
                false,
                130,
            ),
        ] {
            let mut tally = Tally::default();
            (0..succeeded).for_each(|_| tally.success());
            for (kind, required) in &failures {
                tally.failure(&Error::new(*kind, "why"), *required);
            }
            if incomplete {
                tally.incomplete();
            }
            let found = tally.verdict().exit_code();
            assert_eq!(found, exit_code, "{succeeded} {failures:?} {incomplete}");
        }
    }
}
