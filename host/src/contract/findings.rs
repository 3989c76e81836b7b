//! What a check of a store found.

use super::{SnapshotId, Subset};

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte of these objects.
    Data(Subset),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is damaged or missing.
    Error,
    /// Something is odd and harmless.
    Warning,
}

/// Something that a check found.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub what: String,
    /// The snapshots that it concerns, as far as the sink knows.
    pub snapshots: Vec<SnapshotId>,
    /// The paths in these snapshots that it concerns, as far as the sink knows.
    pub paths: Vec<String>,
}

/// The result of a check.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Findings {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// Stored objects that were looked at.
    pub objects: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
}

impl Findings {
    /// How many places are damaged. A sound store has none.
    pub fn errors(&self) -> usize {
        let errors = self.findings.iter();
        errors
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}
