//! Checking a store.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::{Context, Depth, Findings, Verdict};
use crate::error::{Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

/// How a check went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// How many places are damaged.
    pub num_errors: usize,
    /// What the sink found.
    #[serde(flatten)]
    pub findings: Findings,
}

impl super::Report for Report {
    /// Damage is a failure.
    fn verdict(&self) -> Verdict {
        if self.num_errors == 0 {
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
    Ok(Report {
        num_errors: findings.errors(),
        findings,
    })
}
