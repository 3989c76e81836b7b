//! Removes snapshots and the data that only they needed.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};
use vec1::Vec1;

use super::advice::advice;
use super::snapshot::{list, named};
use super::verdict::{Tally, Verdict};
use super::{
    Class, Context, Filter, Reclaimed, Sink, Snapshot, SnapshotRef, Unusable, access, confirmation,
};
use crate::contract::SnapshotId;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::plugin::{self, Reclaim, Repository, Spec};
use crate::retention::{EvaluationTime, ProtectedGroup, Reason, Rules};

/// A prune of several sinks.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sinks, one after the other.
    pub sinks: Vec1<Sink>,
    /// Sinks with an invalid configuration, which the prune skips.
    pub unusable: Vec<Unusable>,
    /// Which snapshots go.
    pub choice: Choice,
    /// Also remove data that no snapshot needs any more.
    pub reclaim: bool,
    /// Report what would be removed, and change nothing.
    pub dry_run: bool,
}

/// Which snapshots go.
#[derive(Clone, Debug)]
pub enum Choice {
    /// These snapshots.
    Named(Vec1<SnapshotRef>),
    /// Those that the policies do not keep.
    Policy {
        /// The policies.
        rules: Rules,
        /// All other snapshots stay.
        filter: Filter,
        /// Ignore the safeguard for groups whose newest snapshot looks like a failed backup.
        force: bool,
    },
}

/// The result of a prune.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The sinks in the order of the plan, without those that an interruption prevented.
    pub sinks: Vec<SinkReport>,
}

/// The result of one sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkReport {
    /// The sink's name.
    pub sink: String,
    /// Whether the whole prune fails if it fails here.
    pub required: bool,
    /// The outcome.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Outcome>")]
    pub result: Result<Outcome>,
}

/// The outcome of a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// The credentials may not delete.
    Skipped {
        /// The class of the credentials.
        #[serde(rename = "skipped")]
        class: Class,
        /// The alternative.
        advice: Vec<String>,
    },
    /// The sink was pruned, or would be.
    Pruned {
        /// The removed snapshots and data.
        pruned: Pruned,
    },
}

/// The result of pruning a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(into = "Document")]
#[schemars(with = "Document")]
pub struct Pruned {
    /// The named or matching snapshots, the oldest first.
    pub snapshots: Vec<Judged>,
    /// The groups of which nothing was removed although the policy says so.
    pub held: Vec<ProtectedGroup>,
    /// The reclaimed data; none if the plan does not reclaim.
    pub store: Option<Reclaimed>,
}

impl Pruned {
    /// The snapshots that were removed, or would be.
    pub fn removed(&self) -> impl Iterator<Item = &Snapshot> {
        let gone = self
            .snapshots
            .iter()
            .filter(|judged| judged.kept.is_empty());
        gone.map(|judged| &judged.snapshot)
    }
}

/// A snapshot, and why it stays.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Judged {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// The reasons to keep it; empty if it is removed.
    #[serde(rename = "reasons")]
    pub kept: Vec<Reason>,
}

/// The result of pruning a sink, as JSON.
#[derive(Serialize, JsonSchema)]
struct Document {
    /// The remaining snapshots, the oldest first.
    keep: Vec<Judged>,
    /// The removed snapshots, the oldest first.
    remove: Vec<Judged>,
    /// The groups of which nothing was removed although the policy says so.
    held: Vec<ProtectedGroup>,
    /// The reclaimed data; null if the plan does not reclaim.
    store: Option<Reclaimed>,
}

impl From<Pruned> for Document {
    fn from(pruned: Pruned) -> Self {
        let Pruned {
            snapshots,
            held,
            store,
        } = pruned;
        let stays = |judged: &Judged| !judged.kept.is_empty();
        let (keep, remove) = snapshots.into_iter().partition(stays);
        Self {
            keep,
            remove,
            held,
            store,
        }
    }
}

/// Prunes every sink, and tells of each as soon as it is done. One that fails does not stop the
/// others.
#[instrument(name = "run", level = "error", skip_all, fields(operation = if plan.reclaim { "prune" } else { "forget" }))]
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

/// Prunes a sink if its credentials may delete.
async fn prune_sink(context: &Context, sink: &Spec, plan: &Plan) -> Result<Outcome> {
    match plugin::probe(context, sink).await {
        Ok(rights) if matches!(rights.class(), Class::AppendOnly | Class::WriteOnly) => {
            return skip(&plan.choice, rights.class(), advice(&rights))
                .map_err(|error| error.of(sink.subject()));
        }
        Ok(_) => {}
        // Then it shows.
        Err(error) if error.kind() == Kind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let access = access(plan.dry_run);
    let repository = Repository::open(context, sink, access).await?;
    let pruned = prune_repository(&repository, plan);
    let (pruned, before) = repository.use_and_close(context, pruned).await?;
    if !plan.dry_run {
        let after = confirmation::listed(context, sink).await?.into_iter();
        let after = after.map(|snapshot| snapshot.id).collect();
        compare(&pruned, &before, &after).map_err(|error| error.of(sink.subject()))?;
    }
    Ok(Outcome::Pruned { pruned })
}

/// Confirms that exactly the planned snapshots were removed.
fn compare(pruned: &Pruned, before: &[SnapshotId], after: &HashSet<SnapshotId>) -> Result<()> {
    let gone: HashSet<_> = pruned.removed().map(|snapshot| &snapshot.id).collect();
    for id in before {
        let fault = match (gone.contains(id), after.contains(id)) {
            (true, true) => format!("it was to remove the snapshot {id}, and still has it"),
            (false, false) => format!("it removed the snapshot {id}, which was to stay"),
            (true, false) | (false, true) => continue,
        };
        return Err(Error::new(Kind::Plugin, fault));
    }
    Ok(())
}

/// The outcome for credentials that may not delete. It is a failure if the operator named snapshots.
fn skip(choice: &Choice, class: Class, advice: Vec<String>) -> Result<Outcome> {
    match choice {
        Choice::Policy { .. } => Ok(Outcome::Skipped { class, advice }),
        Choice::Named(_) => {
            let text = format!("its credentials are {class} and may not delete anything");
            Err(Error::new(Kind::Denied, text).help(advice.join(". ")))
        }
    }
}

/// Prunes an open repository, and returns its snapshots from before.
async fn prune_repository(
    repository: &Repository,
    plan: &Plan,
) -> Result<(Pruned, Vec<SnapshotId>)> {
    let before = repository.snapshots().await?;
    let before = before.into_iter().map(|snapshot| snapshot.id).collect();
    let (snapshots, held) = judge(repository, &plan.choice).await?;
    let mut pruned = Pruned {
        snapshots,
        held,
        store: None,
    };
    if pruned.snapshots.is_empty() {
        return Ok((pruned, before));
    }
    let forget: Vec<_> = pruned
        .removed()
        .map(|snapshot| snapshot.id.clone())
        .collect();
    if !plan.dry_run {
        repository.forget(&forget).await?;
    }
    if plan.reclaim {
        let reclaim = if plan.dry_run {
            Reclaim::DryRun { without: &forget }
        } else {
            Reclaim::Now
        };
        pruned.store = Some(repository.reclaim(reclaim).await?);
    }
    Ok((pruned, before))
}

/// The snapshots in question, each with why it stays, and what is left alone.
async fn judge(
    repository: &Repository,
    choice: &Choice,
) -> Result<(Vec<Judged>, Vec<ProtectedGroup>)> {
    match choice {
        Choice::Named(wanted) => {
            let goes = |snapshot| Judged {
                snapshot,
                kept: Vec::new(),
            };
            let named = named(repository, wanted).await?.into_iter();
            Ok((named.map(goes).collect(), Vec::new()))
        }
        Choice::Policy {
            rules,
            filter,
            force,
        } => {
            let snapshots = list(repository, filter).await?;
            let judgement = rules.judge(&snapshots, &EvaluationTime::now(), *force);
            let judged = snapshots.into_iter().zip(judgement.reasons);
            let judged = judged.map(|(snapshot, kept)| Judged { snapshot, kept });
            Ok((judged.collect(), judgement.held))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::sample;

    #[test]
    fn exactly_what_had_to_go_is_gone() {
        let judged = |day: &str, kept: Vec<Reason>| Judged {
            snapshot: sample(&format!("{day}T02:00:00Z")),
            kept,
        };
        let id = |day: &str| sample(&format!("{day}T02:00:00Z")).id;
        let pruned = Pruned {
            snapshots: vec![judged("2026-01-30", Vec::new())],
            held: Vec::new(),
            store: None,
        };
        let before = ["2026-01-30", "2026-01-31"].map(id);
        for (after, fault) in [
            (&["2026-01-31"][..], None),
            // Another process has stored a snapshot in the meantime.
            (&["2026-01-31", "2026-02-01"], None),
            (&["2026-01-30", "2026-01-31"], Some("still has it")),
            (&[], Some("was to stay")),
        ] {
            let after = after.iter().copied().map(id).collect();
            let compared = compare(&pruned, &before, &after);
            match fault {
                None => compared.expect("it is as it had to be"),
                Some(words) => {
                    let error = compared.expect_err(words);
                    assert!(error.message().contains(words), "{error}");
                }
            }
        }
    }
}
