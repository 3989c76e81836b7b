//! Checking a store.

use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::verdict::Verdict;
use super::{Context, Depth, Findings};
use crate::error::{Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

/// How a check went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the sink found.
    #[serde(flatten)]
    pub findings: Findings,
}

impl Report {
    /// Damage is a failure.
    pub fn verdict(&self) -> Verdict {
        if self.findings.errors() == 0 {
            Verdict::Done
        } else {
            Verdict::Failed(Kind::Corrupt)
        }
    }
}

/// Checks a store.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "check"))]
pub async fn check(context: &Context, sink: &Spec, depth: Depth) -> Result<Report> {
    let checked = async {
        let repository = Repository::open(context, sink, Access::ReadWrite).await?;
        let checking = repository.check(depth);
        repository.use_and_close(context, checking).await
    };
    let findings = checked.instrument(sink.span()).await?;
    Ok(Report { findings })
}
