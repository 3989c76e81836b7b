//! Runs a job as a schedule does: backs up, prunes its sinks, checks them, and runs a drill when one is due.
//!
//! | module | holds |
//! |---|---|
//! | the files that remember when jobs ran |
//! | retries parts that may succeed later |
//! | `job_lock` | keeps a job from running twice at a time, and remembers its last run |
//! | `verify` | the check of all sinks |

mod job_lock;
mod memory;
mod retry;
mod verify;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::Verdict;
use super::{Context, Report as _, drill, prune, run};
use crate::error::{Error, Kind, Result};
use job_lock::JobLock;
use retry::persist;

pub use job_lock::LastRun;
pub use memory::Memory;
pub use verify::{Outcome, SinkCheck, SinkCheckPlan};

/// The plan of a scheduled job.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The job.
    pub job: String,
    /// Where it is remembered when jobs ran.
    pub memory: Memory,
    /// The sources and sinks of the backup.
    pub backup: run::Plan,
    /// The prune, if there is one.
    pub prune: Option<prune::Plan>,
    /// The check.
    pub verify: Vec<SinkCheckPlan>,
    /// The drill, if there is one.
    pub drill: Option<DrillPlan>,
}

/// A drill, and how often it is due.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// The drill.
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
    let mut lock = JobLock::take(&plan.memory, &plan.job)?;
    let report = take_steps(context, plan, &mut lock, &mut tell).await;
    lock.end(report.verdict());
    Ok(report)
}

async fn take_steps(
    context: &Context,
    plan: Plan,
    lock: &mut JobLock,
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
    let due = plan.drill.filter(|drill| lock.is_drill_due(drill.every));
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
            lock.drilled();
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
