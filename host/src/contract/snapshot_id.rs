//! The name that a store gives a snapshot.

use std::fmt;
use std::ops::Deref;

use super::Invalid;
use crate::text::printable;

/// The maximum length of an id, in bytes.
const MAX_LENGTH: usize = 128;

/// The full id of a snapshot: from 1 to 128 printable ASCII characters without spaces.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Takes over an id.
    pub(crate) fn new(id: impl Into<String>) -> Result<Self, Invalid> {
        let id = id.into();
        let is_printable = id.bytes().all(|byte| byte.is_ascii_graphic());
        if id.is_empty() || id.len() > MAX_LENGTH || !is_printable {
            return Err(Invalid::new(format!(
                "the snapshot id \"{}\" does not consist of 1 to {MAX_LENGTH} printable characters",
                printable(&id)
            )));
        }
        Ok(Self(id))
    }

    /// The first eight digits, which usually identify it.
    pub fn short(&self) -> &str {
        self.get(..8).unwrap_or(self)
    }
}

impl Deref for SnapshotId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_printable() {
        SnapshotId::new("4bba301e").expect("it is one of restic's");
        SnapshotId::new("x".repeat(MAX_LENGTH)).expect("it is just short enough");
        for id in ["", "a b", "a\nb", "a\u{1b}[2J", "ü"] {
            SnapshotId::new(id).expect_err(id);
        }
        SnapshotId::new("x".repeat(MAX_LENGTH + 1)).expect_err("it is too long");
    }
}
