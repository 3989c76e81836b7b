//! What a schedule starts: a job's backup, then a pruning of its sinks, then a check of them, and now and then a drill.
//!
//! | module | holds |
//! |---|---|
//! | `memory` | where it is remembered when jobs ran |
//! | `retry` | trying again what may work later |
//! | `turn` | one run of a job at a time, and when the last one was |
//! | `verify` | the check of all sinks |

mod memory;
mod retry;
mod turn;
mod verify;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Verdict;
use super::{Context, Report as _, drill, prune, run};
use crate::error::{Error, Kind, Result};
use retry::persist;
use turn::Turn;

pub use memory::Memory;
pub use turn::LastRun;
pub use verify::{Outcome, SinkCheck, SinkCheckPlan};

/// What a schedule starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The job.
    pub job: String,
    /// Where it is remembered when jobs ran.
    pub memory: Memory,
    /// What is backed up, and where it goes.
    pub backup: run::Plan,
    /// What is pruned, if anything is.
    pub prune: Option<prune::Plan>,
    /// What is checked.
    pub verify: Vec<SinkCheckPlan>,
    /// What is restored for trial, if anything is.
    pub drill: Option<DrillPlan>,
}

/// A drill, and how often it is due.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// What is restored for trial.
    pub drill: drill::Plan,
    /// How long ago the last good one may be.
    pub every: Duration,
}

/// How it went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The job.
    pub job: String,
    /// The backup.
    pub backup: run::Report,
    /// The pruning; none where it was not planned, or the backup failed.
    pub prune: Option<prune::Report>,
    /// The check of each sink, in the order of the plan; empty where the backup failed.
    pub verify: Vec<SinkCheck>,
    /// The drill; none where it was not planned or due, or the backup failed.
    pub drill: Option<drill::Report>,
}

/// A part that is done. What is tried again is told again.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The backup of a source, with the sinks that are done with it.
    BackUp(&'a run::SourceReport, &'a [&'a run::SinkReport]),
    /// The pruning of a sink.
    Prune(&'a prune::SinkReport),
    /// The check of a sink.
    Verify(&'a SinkCheck),
    /// The drill of a source from a sink.
    Drill(&'a drill::Drill),
}

/// Runs a job, unless it is running already, and tells of each part as soon as it is done. What
/// fails because something is locked or out of reach is tried again, later and later.
///
/// Where the backup failed, nothing is pruned: what is there may be the last that is good.
pub async fn scheduled(
    context: &Context,
    plan: Plan,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Report> {
    let mut turn = Turn::take(&plan.memory, &plan.job)?;
    let report = take_steps(context, plan, &mut turn, &mut tell).await;
    turn.end(report.verdict());
    Ok(report)
}

async fn take_steps(
    context: &Context,
    plan: Plan,
    turn: &mut Turn,
    tell: &mut impl FnMut(Step<'_>),
) -> Report {
    let backup = persist(&context.cancel, plan.backup, async |plan| {
        Box::pin(run(context, plan, |source, sinks| {
            tell(Step::BackUp(source, sinks));
        }))
        .await
    });
    let mut report = Report {
        job: plan.job,
        backup: backup.await,
        prune: None,
        verify: Vec::new(),
        drill: None,
    };
    if matches!(report.backup.verdict(), Verdict::Failed(_)) {
        return report;
    }
    if let Some(plan) = plan.prune {
        let prune = persist(&context.cancel, plan, async |plan| {
            prune(context, plan, |sink| tell(Step::Prune(sink))).await
        });
        report.prune = Some(prune.await);
    }
    if !context.cancel.is_cancelled() {
        let verify = persist(&context.cancel, plan.verify, async |checks| {
            verify::verify(context, checks, |check| tell(Step::Verify(check))).await
        });
        report.verify = verify.await;
    }
    let due = plan.drill.filter(|drill| turn.is_drill_due(drill.every));
    if let Some(due) = due
        && !context.cancel.is_cancelled()
    {
        let drill = persist(&context.cancel, due.drill, async |plan| {
            drill(context, plan, |drill| tell(Step::Drill(drill))).await
        });
        let drill = drill.await;
        // One that failed is repeated, also where the sink is not required; so is one that was interrupted.
        let is_good = drill.drills.iter().all(|drill| drill.result.is_ok());
        if is_good && !context.cancel.is_cancelled() {
            turn.drilled();
        }
        report.drill = Some(drill);
    }
    report
}

impl super::Report for Report {
    /// How it ended: the worst of its parts.
    fn verdict(&self) -> Verdict {
        let prune = self.prune.iter().map(super::Report::verdict);
        let drill = self.drill.iter().map(super::Report::verdict);
        let parts = prune.chain([verify::verdict(&self.verify)]).chain(drill);
        parts.fold(self.backup.verdict(), Verdict::or_worse)
    }
}

/// Whether something may work later.
fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Locked | Kind::Busy)
}
