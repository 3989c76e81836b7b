//! Checking a store.

use super::Context;
use super::store::Store;
use crate::error::Result;
use crate::plugin::bindings::sink::exports::tthost::backup::sink;
use crate::plugin::{Spec, printable};

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// References, listings and sizes.
    Structure,
    /// Also every byte.
    Data,
}

/// What a check found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Findings {
    /// What is damaged or missing. Empty means sound.
    pub errors: Vec<String>,
    /// What is odd and harmless.
    pub warnings: Vec<String>,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// Packs that were looked at.
    pub packs: u64,
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Bytes that were read back.
    pub bytes_read: u64,
}

/// Checks a store.
pub async fn check(context: &Context, sink: Spec, depth: Depth) -> Result<Findings> {
    let store = Store::open(context, &sink).await?;
    let depth = match depth {
        Depth::Structure => sink::Depth::Structure,
        Depth::Data => sink::Depth::Data,
    };
    let findings = store.call(move |accessor, guest, repository| {
        Box::pin(async move { guest.call_check(accessor, repository, depth).await })
    });
    let findings = store.use_and_close(context, findings).await?;
    let printable = |texts: Vec<String>| texts.iter().map(|text| printable(text)).collect();
    Ok(Findings {
        errors: printable(findings.errors),
        warnings: printable(findings.warnings),
        snapshots: findings.snapshots,
        packs: findings.packs,
        blobs: findings.blobs,
        bytes_read: findings.bytes_read,
    })
}
