//! What a check of a store found.

use super::{SnapshotId, Subset};

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte of these objects.
    Data(Subset),
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is damaged or missing.
    Error,
    /// Something is unusual and harmless.
    Warning,
}

/// A result of a check.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// One sentence.
    pub what: String,
    /// The affected snapshots, as far as the sink knows.
    pub snapshots: Vec<SnapshotId>,
    /// The affected paths in these snapshots, as far as the sink knows.
    pub paths: Vec<String>,
}

/// The results of a check.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Findings {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Snapshots that were checked.
    pub snapshots: u64,
    /// Stored objects that were checked.
    pub objects: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
}

impl Findings {
    /// The number of errors. A sound store has none.
    pub fn errors(&self) -> usize {
        let errors = self.findings.iter();
        errors
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}
