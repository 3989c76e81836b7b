//! What is said of a store and its snapshots.

use super::{Draft, Finding, Findings, Reclaimed, Severity, Snapshot, Subset};
use crate::Instant;

impl Snapshot {
    /// A snapshot that was written with this draft, and of which no more is known.
    pub fn of(id: String, draft: Draft) -> Self {
        Self {
            id,
            time: draft.time,
            hostname: draft.hostname,
            username: draft.username,
            tags: draft.tags,
            paths: draft.paths,
            program: None,
            files: None,
            bytes: None,
            bytes_added: None,
            bytes_stored: None,
            damaged: None,
        }
    }

    /// A snapshot of which nothing is known but its id, and why that is, as a sentence.
    pub fn damaged(id: String, why: String) -> Self {
        Self {
            id,
            time: Instant {
                seconds: 0,
                nanoseconds: 0,
            },
            hostname: String::new(),
            username: String::new(),
            tags: Vec::new(),
            paths: Vec::new(),
            program: None,
            files: None,
            bytes: None,
            bytes_added: None,
            bytes_stored: None,
            damaged: Some(why),
        }
    }
}

impl Subset {
    /// Whether the object of this name is in it.
    pub fn holds(self, name: &[u8]) -> bool {
        let place = place(name);
        if self.first <= self.last {
            (self.first..=self.last).contains(&place)
        } else {
            place >= self.first || place <= self.last
        }
    }
}

/// The place of an object, which depends on its name alone: FNV-1a, mixed so that names which differ little are far apart.
fn place(name: &[u8]) -> u32 {
    let mix = |hash: u32| {
        let hash = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
        let hash = (hash ^ (hash >> 15)).wrapping_mul(0x846c_a68b);
        hash ^ (hash >> 16)
    };
    mix(name.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    }))
}

impl Findings {
    /// Something is damaged or missing.
    pub fn error(&mut self, what: String, snapshots: &[&str]) {
        self.findings.push(Finding {
            severity: Severity::Error,
            what,
            snapshots: snapshots.iter().map(ToString::to_string).collect(),
            paths: Vec::new(),
        });
    }
}

/// Nothing was looked at and found yet.
impl Default for Findings {
    fn default() -> Self {
        Self {
            findings: Vec::new(),
            snapshots: 0,
            objects: 0,
            bytes_read: 0,
        }
    }
}

/// Nothing was removed yet.
impl Default for Reclaimed {
    fn default() -> Self {
        Self {
            objects_removed: 0,
            bytes_removed: 0,
            objects_written: 0,
            bytes_written: 0,
            bytes_left: 0,
            bytes_unused: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_in_one_of_two_halves_and_both_have_about_as_many() {
        let lower = Subset {
            first: 0,
            last: u32::MAX / 2,
        };
        let upper = Subset {
            first: u32::MAX / 2 + 1,
            last: u32::MAX,
        };
        let around = Subset {
            first: upper.first,
            last: lower.last,
        };
        let names = (0..1000).map(|number: u32| format!("snapshots/a/files/{number}"));
        let mut in_lower = 0;
        for name in names {
            let name = name.as_bytes();
            assert!(lower.holds(name) != upper.holds(name));
            assert!(around.holds(name));
            in_lower += u32::from(lower.holds(name));
        }
        assert!((400..=600).contains(&in_lower), "{in_lower} of 1000");
    }
}
