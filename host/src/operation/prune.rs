//! Removing snapshots that a policy does not keep, and what only they needed.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};
use vec1::Vec1;

use super::advice::advice;
use super::snapshot::list;
use super::verdict::{Tally, Verdict};
use super::{Class, Context, Filter, Reclaimed, Sink, Snapshot, Unusable, access};
use crate::error::{Kind, Result};
use crate::json;
use crate::plugin::{self, Reclaim, Repository, Spec};
use crate::retention::{Policy, Reason};

/// Which sinks are pruned, and what stays there.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sinks, one after the other.
    pub sinks: Vec1<Sink>,
    /// Sinks that cannot be used, and that the pruning does without.
    pub unusable: Vec<Unusable>,
    /// What stays.
    pub policy: Policy,
    /// All other snapshots stay anyhow.
    pub filter: Filter,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

/// How a pruning went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The sinks in the order of the plan; those that an interruption prevented are missing.
    pub sinks: Vec<SinkReport>,
}

/// How the pruning of a sink went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkReport {
    /// The sink's name.
    pub sink: String,
    /// Whether the pruning has failed when it failed here.
    pub required: bool,
    /// What was done.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Outcome>")]
    pub result: Result<Outcome>,
}

/// What was done to a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// Nothing may be removed there.
    Skipped {
        /// What the credentials allow.
        #[serde(rename = "skipped")]
        class: Class,
        /// What to do instead.
        advice: Vec<String>,
    },
    /// It was done, or would be.
    Pruned {
        /// What became of its snapshots and of what is stored.
        pruned: Pruned,
    },
}

/// What became of a store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(into = "Document")]
#[schemars(with = "Document")]
pub struct Pruned {
    /// The snapshots that pass the filter, the oldest first.
    pub snapshots: Vec<Judged>,
    /// What that meant for what is stored.
    pub store: Reclaimed,
}

/// A snapshot, and why it stays.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Judged {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Empty for one that goes.
    #[serde(rename = "reasons")]
    pub kept: Vec<Reason>,
}

/// What became of a store, in a report.
#[derive(Serialize, JsonSchema)]
struct Document {
    /// The snapshots that stay, the oldest first.
    keep: Vec<Judged>,
    /// The snapshots that go, the oldest first.
    remove: Vec<Judged>,
    /// What that meant for what is stored.
    store: Reclaimed,
}

impl From<Pruned> for Document {
    fn from(Pruned { snapshots, store }: Pruned) -> Self {
        let stays = |judged: &Judged| !judged.kept.is_empty();
        let (keep, remove) = snapshots.into_iter().partition(stays);
        Self {
            keep,
            remove,
            store,
        }
    }
}

/// Prunes every sink, and tells of each as soon as it is done. One that fails does not stop the
/// others.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "prune"))]
pub async fn prune(context: &Context, plan: Plan, mut tell: impl FnMut(&SinkReport)) -> Report {
    let mut sinks = Vec::new();
    for sink in &plan.sinks {
        let report = SinkReport {
            sink: sink.spec.name.clone(),
            required: sink.required,
            result: prune_sink(context, &sink.spec, &plan)
                .instrument(sink.spec.span())
                .await,
        };
        tell(&report);
        sinks.push(report);
        if context.cancel.is_cancelled() {
            break;
        }
    }
    for unusable in plan.unusable {
        let report = SinkReport {
            sink: unusable.sink,
            required: false,
            result: Err(unusable.error),
        };
        tell(&report);
        sinks.push(report);
    }
    Report { sinks }
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        let mut tally = Tally::default();
        for sink in &self.sinks {
            match &sink.result {
                Ok(_) => tally.success(),
                Err(error) => tally.failure(error, sink.required),
            }
        }
        tally.verdict()
    }
}

/// Prunes a store, where anything may be removed from it.
async fn prune_sink(context: &Context, sink: &Spec, plan: &Plan) -> Result<Outcome> {
    match plugin::probe(context, sink).await {
        Ok(rights) if matches!(rights.class(), Class::AppendOnly | Class::WriteOnly) => {
            return Ok(Outcome::Skipped {
                class: rights.class(),
                advice: advice(&rights),
            });
        }
        Ok(_) => {}
        // Then it shows.
        Err(error) if error.kind() == Kind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let access = access(plan.dry_run);
    let repository = Repository::open(context, sink, access).await?;
    let pruned = prune_repository(&repository, plan);
    let pruned = repository.use_and_close(context, pruned).await?;
    Ok(Outcome::Pruned { pruned })
}

async fn prune_repository(repository: &Repository, plan: &Plan) -> Result<Pruned> {
    let snapshots = list(repository, &plan.filter).await?;
    let reasons = plan.policy.judge(&snapshots, &TimeZone::system());
    let snapshots: Vec<_> = snapshots
        .into_iter()
        .zip(reasons)
        .map(|(snapshot, kept)| Judged { snapshot, kept })
        .collect();
    let going = snapshots.iter().filter(|judged| judged.kept.is_empty());
    let forget: Vec<_> = going.map(|judged| judged.snapshot.id.clone()).collect();
    if snapshots.is_empty() {
        return Ok(Pruned {
            snapshots,
            store: Reclaimed::default(),
        });
    }
    let reclaim = if plan.dry_run {
        Reclaim::DryRun { without: &forget }
    } else {
        repository.forget(&forget).await?;
        Reclaim::Now
    };
    let store = repository.reclaim(reclaim).await?;
    Ok(Pruned { snapshots, store })
}
