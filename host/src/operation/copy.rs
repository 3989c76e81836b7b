//! Copies snapshots from one sink to another.

use std::collections::HashSet;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;

use super::snapshot::{pick, warn_of_damaged};
use super::verdict::{Tally, Verdict};
use super::{Context, Filter, Receipt, Snapshot, SnapshotRef, confirmation, open};
use crate::contract::{Draft, Selection, SnapshotId};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::json;
use crate::plugin::{Repository, Spec};
use crate::transfer::{Writer, transfer};

/// A copy of snapshots from one sink to another.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sink that has the snapshots.
    pub from: Spec,
    /// The sink that gets them.
    pub to: Spec,
    /// The snapshots to copy.
    pub wanted: Wanted,
}

/// The snapshots to copy. Those that the other sink already has are skipped.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All that pass the filter.
    All(Filter),
    /// This one.
    One(SnapshotRef),
}

/// The result of a copy.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Report {
    /// The snapshots that the other sink lacked, the oldest first.
    pub copied: Vec<SnapshotReport>,
    /// The ids of those that it already had.
    pub present: Vec<SnapshotId>,
}

/// The result of one snapshot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotReport {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The stored snapshot.
    #[serde(flatten, serialize_with = "json::summary_or_error")]
    #[schemars(with = "json::SummaryOrError<Receipt>")]
    pub result: Result<Receipt>,
}

/// Copies snapshots, the oldest first, with their times, hosts, users, tags and paths, and tells
/// of each as soon as it is done. What one of them says does not stop the others; the error is
/// one of the stores or of the request.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "copy"))]
pub async fn copy(
    context: &Context,
    plan: Plan,
    mut tell: impl FnMut(&SnapshotReport),
) -> Result<Report> {
    let from = open(context, &plan.from, Access::ReadWrite).await?;
    let copied = match open(context, &plan.to, Access::ReadWrite).await {
        Ok(to) => {
            let copied = copy_all(context, &plan, (&from, &to), &mut tell);
            to.use_and_close(context, Box::pin(copied)).await
        }
        Err(error) => Err(error),
    };
    from.close().await;
    let mut report = copied?;
    confirm(context, &plan.to, &mut report, &mut tell).await?;
    Ok(report)
}

/// Confirms the copied snapshots, and reports the missing ones.
async fn confirm(
    context: &Context,
    to: &Spec,
    report: &mut Report,
    tell: &mut impl FnMut(&SnapshotReport),
) -> Result<()> {
    let stored = report.copied.iter_mut();
    let mut stored = stored.filter(|copied| copied.result.is_ok()).peekable();
    if stored.peek().is_none() {
        return Ok(());
    }
    let listed = match confirmation::listed(context, to).await {
        Ok(listed) => listed,
        // Write-only credentials cannot list.
        Err(error) if matches!(error.kind(), Kind::Denied | Kind::Unsupported) => return Ok(()),
        Err(error) => return Err(error),
    };
    for copied in stored {
        let time = copied.snapshot.time;
        let checked = match &copied.result {
            Ok(receipt) => confirmation::check(receipt, time, &listed),
            Err(_) => continue,
        };
        if let Err(error) = checked {
            copied.result = Err(error.of(to.subject()));
            tell(copied);
        }
    }
    Ok(())
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        let mut tally = Tally::default();
        for snapshot in &self.copied {
            match &snapshot.result {
                Ok(_) => tally.success(),
                Err(error) => tally.failure(error, false),
            }
        }
        tally.verdict()
    }
}

async fn copy_all(
    context: &Context,
    plan: &Plan,
    (from, to): (&Repository, &Repository),
    tell: &mut impl FnMut(&SnapshotReport),
) -> Result<Report> {
    let one = match &plan.wanted {
        Wanted::One(wanted) => Some(pick(from, wanted).await?.id),
        Wanted::All(_) => None,
    };
    let is_wanted = |snapshot: &Snapshot| match (&plan.wanted, &one) {
        (Wanted::All(filter), _) => filter.passes(snapshot),
        (Wanted::One(_), id) => id.as_ref() == Some(&snapshot.id),
    };
    let there = to.snapshots().await?;
    let there: HashSet<_> = there
        .iter()
        .map(|other| sameness(&other.recorded))
        .collect();
    let mut wanted = from.snapshots().await?;
    warn_of_damaged(from, &wanted);
    wanted.retain(is_wanted);
    wanted.sort_by_key(|snapshot| snapshot.time);
    let mut report = Report::default();
    for snapshot in wanted {
        if there.contains(&sameness(&snapshot.recorded)) {
            report.present.push(snapshot.id);
            continue;
        }
        let result = copy_one(context, (from, to), &snapshot).await;
        let result = result.map_err(|error| error.at(&format!("snapshot {}", snapshot.id.short())));
        let copied = SnapshotReport { snapshot, result };
        tell(&copied);
        report.copied.push(copied);
    }
    Ok(report)
}

/// Copies a snapshot from one store into another.
pub(super) async fn copy_one(
    context: &Context,
    (from, to): (&Repository, &Repository),
    snapshot: &Snapshot,
) -> Result<Receipt> {
    let selection = Selection {
        snapshot: snapshot.id.clone(),
        paths: None,
        levels: None,
        skip_damaged: false,
    };
    let reader = from.read(selection).await?;
    let of_target = |error: Error| error.of(to.subject());
    let writer = to
        .begin(snapshot.recorded.clone())
        .await
        .map_err(of_target)?;
    let writer: Box<dyn Writer> = Box::new(writer);
    let mut moved = transfer(Box::new(reader), vec![writer.into()], &*context.events).await?;
    moved.outcomes.remove(0).receipt().await.map_err(of_target)
}

/// The properties by which a copy is recognised.
fn sameness(of: &Draft) -> impl Eq + Hash + use<> {
    let sorted = |texts: &[String]| {
        let mut texts = texts.to_vec();
        texts.sort();
        texts
    };
    (
        of.time,
        of.hostname.clone(),
        of.username.clone(),
        sorted(&of.tags),
        sorted(&of.paths),
    )
}
