//! Checks that everything that the snapshots need exists and is valid.

mod data;
mod depth;
mod structure;
mod subset;
mod tree_paths;

use std::rc::Rc;

use crate::core::Core;
use crate::{FileKind, Id, Platform, Result};

pub use subset::{Subset, Usage};

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte of these packs.
    Data(Subset),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is damaged or missing.
    Error,
    /// Something is odd and harmless.
    Warning,
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub what: String,
    /// A snapshot that it concerns, where that is known.
    pub snapshot: Option<Id>,
    /// The absolute path in that snapshot, where that is known.
    pub path: Option<Vec<u8>>,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// All of it, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Snapshots.
    pub snapshots: u64,
    /// Packs.
    pub packs: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
    /// Findings that are left out, because there are so many.
    more: u64,
}

/// The most findings that are told.
const MAX: usize = 5000;

impl Findings {
    /// The sentences of this severity.
    pub fn of(&self, severity: Severity) -> Vec<&str> {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .map(|finding| finding.what.as_str())
            .collect()
    }

    /// Says how much was left out.
    fn end(&mut self) {
        if self.more > 0 {
            let more = std::mem::take(&mut self.more);
            self.findings.pop();
            self.error(format!("{} more findings of this kind", more + 1));
        }
    }

    fn error(&mut self, what: String) {
        self.add(Severity::Error, what, None, None);
    }

    fn warning(&mut self, what: String) {
        self.add(Severity::Warning, what, None, None);
    }

    fn add(
        &mut self,
        severity: Severity,
        what: String,
        snapshot: Option<Id>,
        path: Option<Vec<u8>>,
    ) {
        if self.findings.len() >= MAX {
            self.more += 1;
            return;
        }
        self.findings.push(Finding {
            severity,
            what,
            snapshot,
            path,
        });
    }
}

/// Checks the repository. Damage goes into the findings; an error means that the check could
/// not be done.
pub(crate) async fn check<P: Platform>(core: &Rc<Core<P>>, depth: Depth) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut packs = structure::check(core, &mut findings).await?;
    if let Depth::Data(subset) = depth {
        packs.retain(|pack| subset.has(pack.id));
        let damaged = data::check(core, packs, &mut findings).await?;
        if !damaged.is_empty() {
            structure::name_files(core, &damaged, &mut findings).await?;
        }
    }
    findings.end();
    Ok(findings)
}

/// How much is in these packs, by their listing.
pub(crate) async fn usage<P: Platform>(core: &Core<P>, subset: Subset) -> Result<Usage> {
    let listed = core.platform.list(FileKind::Pack).await?;
    let mut usage = Usage::default();
    for pack in listed.iter().filter(|pack| subset.has(pack.id)) {
        usage.packs += 1;
        usage.bytes += pack.length;
    }
    Ok(usage)
}
