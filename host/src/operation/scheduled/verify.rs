//! Checks all sinks of a job.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::info;

use crate::error::{Kind, Result};
use crate::json;
use crate::operation::check::{Cost, Reading};
use crate::operation::probe::unreadable;
use crate::operation::verdict::{Tally, Verdict};
use crate::operation::{Class, Context, Sink, check};

/// The check of a sink.
#[derive(Clone, Debug)]
pub struct SinkCheckPlan {
    /// The sink.
    pub sink: Sink,
    /// How much of it is read back.
    pub reading: Reading,
}

/// How the check of a sink went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkCheck {
    /// The sink's name.
    pub sink: String,
    /// Whether all has failed when it failed here.
    pub required: bool,
    /// The result.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Outcome>")]
    pub result: Result<Outcome>,
}

/// The result of checking a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// Nothing may be read there.
    Skipped {
        /// The class of the credentials' permissions.
        #[serde(rename = "skipped")]
        class: Class,
    },
    /// The result of the check.
    Checked(check::Report),
}

/// Checks the sinks, and tells of each as soon as it is done.
pub(super) async fn verify(
    context: &Context,
    plans: Vec<SinkCheckPlan>,
    mut tell: impl FnMut(&SinkCheck),
) -> Vec<SinkCheck> {
    let mut checks = Vec::new();
    for SinkCheckPlan { sink, reading } in plans {
        let check = SinkCheck {
            sink: sink.spec.name.clone(),
            required: sink.required,
            result: check_sink(context, &sink, reading).await,
        };
        tell(&check);
        checks.push(check);
        if context.cancel.is_cancelled() {
            break;
        }
    }
    checks
}

async fn check_sink(context: &Context, sink: &Sink, reading: Reading) -> Result<Outcome> {
    if let Some(class) = unreadable(context, &sink.spec).await? {
        return Ok(Outcome::Skipped { class });
    }
    let plan = check::Plan {
        sink: sink.spec.clone(),
        reading,
    };
    let cost = |cost: Cost| {
        let bytes = cost.reading.bytes;
        info!(subject = sink.spec.subject(), "{bytes} bytes are read back");
    };
    let report = check(context, plan, cost).await?;
    Ok(Outcome::Checked(report))
}

/// How checks ended. Damage is a failure.
pub(super) fn verdict(checks: &[SinkCheck]) -> Verdict {
    let mut tally = Tally::default();
    let mut damaged = Verdict::Done;
    for check in checks {
        match &check.result {
            Ok(Outcome::Checked(report)) if report.num_errors > 0 => {
                damaged = Verdict::Failed(Kind::Corrupt);
            }
            Ok(_) => tally.success(),
            Err(error) => tally.failure(error, check.required),
        }
    }
    damaged.or_worse(tally.verdict())
}
