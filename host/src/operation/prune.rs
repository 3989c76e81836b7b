//! Removing snapshots, and what only they needed.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};
use vec1::Vec1;

use super::advice::advice;
use super::snapshot::{list, named};
use super::verdict::{Tally, Verdict};
use super::{
    Class, Context, Filter, Reclaimed, Sink, Snapshot, SnapshotRef, Unusable, access, witness,
};
use crate::contract::SnapshotId;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::plugin::{self, Reclaim, Repository, Spec};
use crate::retention::{Held, Moment, Reason, Rules};

/// Which sinks are pruned, and what goes there.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sinks, one after the other.
    pub sinks: Vec1<Sink>,
    /// Sinks that cannot be used, and that the pruning does without.
    pub unusable: Vec<Unusable>,
    /// Which snapshots go.
    pub choice: Choice,
    /// Free what only they needed, and what nothing needed before.
    pub reclaim: bool,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

/// Which snapshots go.
#[derive(Clone, Debug)]
pub enum Choice {
    /// These.
    Named(Vec1<SnapshotRef>),
    /// Those that the policies do not keep.
    Policy {
        /// The policies.
        rules: Rules,
        /// All other snapshots stay anyhow.
        filter: Filter,
        /// Do not heed that a newest snapshot looks as if its backup had failed.
        force: bool,
    },
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
    /// The snapshots that were named, or that pass the filter, the oldest first.
    pub snapshots: Vec<Judged>,
    /// The groups of which nothing was removed although the policy says so.
    pub held: Vec<Held>,
    /// What that meant for what is stored; none where nothing was to be freed.
    pub store: Option<Reclaimed>,
}

impl Pruned {
    /// The snapshots that went, or would.
    pub fn gone(&self) -> impl Iterator<Item = &Snapshot> {
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
    /// The groups of which nothing was removed although the policy says so.
    held: Vec<Held>,
    /// What that meant for what is stored; null where nothing was to be freed.
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

/// Prunes a store, where anything may be removed from it.
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
        let after = witness::listed(context, sink).await?.into_iter();
        let after = after.map(|snapshot| snapshot.id).collect();
        compare(&pruned, &before, &after).map_err(|error| error.of(sink.subject()))?;
    }
    Ok(Outcome::Pruned { pruned })
}

/// Whether exactly the snapshots went that had to.
fn compare(pruned: &Pruned, before: &[SnapshotId], after: &HashSet<SnapshotId>) -> Result<()> {
    let gone: HashSet<_> = pruned.gone().map(|snapshot| &snapshot.id).collect();
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

/// Says why nothing may be removed. That is a failure where somebody named what to remove.
fn skip(choice: &Choice, class: Class, advice: Vec<String>) -> Result<Outcome> {
    match choice {
        Choice::Policy { .. } => Ok(Outcome::Skipped { class, advice }),
        Choice::Named(_) => {
            let text = format!("its credentials are {class} and may not delete anything");
            Err(Error::new(Kind::Denied, text).help(advice.join(". ")))
        }
    }
}

/// Prunes an open store, and answers what snapshots it had before.
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
    let forget: Vec<_> = pruned.gone().map(|snapshot| snapshot.id.clone()).collect();
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
async fn judge(repository: &Repository, choice: &Choice) -> Result<(Vec<Judged>, Vec<Held>)> {
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
            let judgement = rules.judge(&snapshots, &Moment::now(), *force);
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
            // Somebody else has stored one meanwhile.
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
