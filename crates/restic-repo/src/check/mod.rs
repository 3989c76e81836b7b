//! Whether all that the snapshots need is there, and is what it says.

mod data;
mod structure;

use std::rc::Rc;

use crate::core::Core;
use crate::{Platform, Result};

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte.
    Data,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What is damaged or missing.
    pub errors: Vec<String>,
    /// What is odd and harmless.
    pub warnings: Vec<String>,
    /// Snapshots.
    pub snapshots: u64,
    /// Packs.
    pub packs: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
}

/// Checks the repository. Damage goes into the findings; an error means that the check could
/// not be done.
pub(crate) async fn check<P: Platform>(core: &Rc<Core<P>>, depth: Depth) -> Result<Findings> {
    let mut findings = Findings::default();
    let packs = structure::check(core, &mut findings).await?;
    if depth == Depth::Data {
        data::check(core, packs, &mut findings).await?;
    }
    Ok(findings)
}
