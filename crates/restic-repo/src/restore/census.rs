//! Refuses snapshots with an absurd number of entries.
//!
//! A directory is stored once, however often it is referenced. So forty directories, each of which contains the next
//! one twice, are a million million entries, and a restore of them would never end.

use std::collections::HashSet;

use crate::error::corrupt;
use crate::{Id, Result};

/// So many times the entries that its directories list, each of them counted once, a snapshot may have.
const MAX_REPEATED: u64 = 10_000;

/// Directories that are counted. No snapshot has so many times the entries of so many directories.
const MAX_COUNTED: usize = 1 << 16;

/// Counts the entries of the directories of a snapshot.
#[derive(Default)]
pub(super) struct Census {
    counted: HashSet<Id>,
    /// Entries of the directories that were counted.
    listed: u64,
}

impl Census {
    /// Counts a directory that lists so many entries, after so many were given out.
    pub(super) fn count(&mut self, tree: Id, entries: usize, given: u64) -> Result<()> {
        if self.counted.len() < MAX_COUNTED && self.counted.insert(tree) {
            self.listed += entries as u64;
        }
        if given > self.listed.saturating_mul(MAX_REPEATED) {
            return Err(corrupt(format!(
                "the directories of the snapshot hold each other: {} different entries became {given} already",
                self.listed
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many entries a snapshot gives before it is refused, where each of so many directories holds the next one so
    /// often. None where all were given.
    fn given(levels: u8, fan: usize) -> Option<u64> {
        let mut census = Census::default();
        let mut given = 0;
        // The levels of the directories that are yet to be opened.
        let mut open = vec![0];
        while let Some(level) = open.pop() {
            let entries = if level < levels { fan } else { 0 };
            if census.count(Id([level; 32]), entries, given).is_err() {
                return Some(given);
            }
            given += entries as u64;
            open.extend(vec![level + 1; entries]);
        }
        None
    }

    #[test]
    fn directories_that_hold_each_other_without_end_are_no_snapshot() {
        let refused = given(40, 2).expect("it has no end");
        assert!(refused < 1_000_000, "{refused} entries");
    }

    #[test]
    fn many_different_directories_before_them_hide_nothing() {
        let mut census = Census::default();
        for number in 0..=MAX_COUNTED {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            census.count(Id(id), 1, 0).expect("they are a snapshot");
        }
        let bomb = census.count(Id([255; 32]), 2, 1 << 40);
        bomb.expect_err("nothing is repeated so often");
    }

    #[test]
    fn many_copies_of_a_directory_are_a_snapshot() {
        assert_eq!(given(2, 1000), None, "a million entries");
        assert_eq!(given(1, 100_000), None);
    }
}
