//! Protects a group from removal when its newest snapshot looks like a failed backup. The older ones may then be the
//! only good ones.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::snapshot::Snapshot;

/// Why nothing of a group is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Safeguard {
    /// Its newest snapshot is incomplete, and a complete one holds more.
    Incomplete,
    /// Its newest snapshot holds nothing, and an older one does.
    Empty,
    /// The policy would leave nothing of it.
    NothingLeft,
}

impl Safeguard {
    /// What speaks against removing anything of a group, whose snapshots come from the newest to the
    /// oldest.
    pub(super) fn on(group: &[&Snapshot]) -> Option<Self> {
        let (newest, older) = group.split_first()?;
        if is_empty(newest) && older.iter().any(|older| !is_empty(older)) {
            return Some(Self::Empty);
        }
        let is_better = |older: &Snapshot| !older.is_incomplete() && holds_more(older, newest);
        if newest.is_incomplete() && older.iter().any(|older| is_better(older)) {
            return Some(Self::Incomplete);
        }
        None
    }
}

/// Whether it says that it holds nothing. Those of older programs say nothing of that.
fn is_empty(snapshot: &Snapshot) -> bool {
    snapshot.bytes == Some(0) || snapshot.files == Some(0)
}

/// Whether one holds more than the other, as far as both say so.
fn holds_more(one: &Snapshot, other: &Snapshot) -> bool {
    let is_more = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => one > other,
        _ => true,
    };
    is_more(one.bytes, other.bytes) || is_more(one.files, other.files)
}

impl fmt::Display for Safeguard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the newest snapshot is incomplete, and a complete one holds more",
            Self::Empty => "the newest snapshot is empty, and older ones are not",
            Self::NothingLeft => "the policy would leave no snapshot",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{INCOMPLETE, sample};

    fn snapshot(bytes: Option<u64>, is_incomplete: bool) -> Snapshot {
        let mut snapshot = sample("2026-01-01T00:00:00Z");
        snapshot.bytes = bytes;
        snapshot.files = bytes.map(|_| 1);
        if is_incomplete {
            snapshot.tags.push(INCOMPLETE.into());
        }
        snapshot
    }

    #[test]
    fn a_newest_snapshot_that_lost_something_holds_the_others() {
        let (whole, partial) = (false, true);
        for (newest, older, safeguard) in [
            (snapshot(Some(9), whole), snapshot(Some(10), whole), None),
            (
                snapshot(Some(0), whole),
                snapshot(Some(10), whole),
                Some(Safeguard::Empty),
            ),
            (snapshot(Some(0), whole), snapshot(Some(0), whole), None),
            // Whether older programs stored anything is not known.
            (
                snapshot(Some(0), whole),
                snapshot(None, whole),
                Some(Safeguard::Empty),
            ),
            (snapshot(None, whole), snapshot(Some(10), whole), None),
            (
                snapshot(Some(9), partial),
                snapshot(Some(10), whole),
                Some(Safeguard::Incomplete),
            ),
            (snapshot(Some(11), partial), snapshot(Some(10), whole), None),
            // It is so every night.
            (
                snapshot(Some(9), partial),
                snapshot(Some(10), partial),
                None,
            ),
        ] {
            assert_eq!(
                Safeguard::on(&[&newest, &older]),
                safeguard,
                "{newest:?} {older:?}"
            );
        }
        assert_eq!(Safeguard::on(&[&snapshot(Some(0), partial)]), None);
        let mut no_files = snapshot(Some(0), whole);
        (no_files.files, no_files.bytes) = (Some(0), Some(7));
        let older = snapshot(Some(7), whole);
        assert_eq!(Safeguard::on(&[&no_files, &older]), Some(Safeguard::Empty));
    }
}
