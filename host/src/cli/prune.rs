//! `tthost prune`.

use clap::Args;

use super::Session;
use super::args::PathFilter;
use super::format::{bytes, count, short, time};
use super::output::{Answer, Output};
use super::table::table;
use crate::config::PruneRequest;
use crate::error::Result;
use crate::history::Activity;
use crate::operation;
use crate::operation::prune::{Outcome, Pruned, SinkReport};
use crate::retention::{Counts, Policy, Reason};

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// A sink to prune; repeatable
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    sink: Vec<String>,
    /// Also prune every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    #[command(flatten)]
    filter: PathFilter,
    /// List the snapshots that would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keep: Keep,
}

/// A retention policy in place of the configured one.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Retention policy, for each host and set of paths [default: the configured one]"
)]
pub(super) struct Keep {
    /// Keep the newest COUNT snapshots
    #[arg(long = "keep-last", value_name = "COUNT")]
    last: Option<u32>,
    /// Keep the last snapshot of each of COUNT hours
    #[arg(long = "keep-hourly", value_name = "COUNT")]
    hourly: Option<u32>,
    /// Keep the last snapshot of each of COUNT days
    #[arg(long = "keep-daily", value_name = "COUNT")]
    daily: Option<u32>,
    /// Keep the last snapshot of each of COUNT weeks
    #[arg(long = "keep-weekly", value_name = "COUNT")]
    weekly: Option<u32>,
    /// Keep the last snapshot of each of COUNT months
    #[arg(long = "keep-monthly", value_name = "COUNT")]
    monthly: Option<u32>,
    /// Keep the last snapshot of each of COUNT years
    #[arg(long = "keep-yearly", value_name = "COUNT")]
    yearly: Option<u32>,
}

/// Prunes every sink that is named.
pub(super) async fn prune(session: &Session<'_>, arguments: Prune) -> Result<Answer> {
    let dry_run = arguments.dry_run;
    let config = &session.config;
    let subject = if dry_run {
        None
    } else {
        let (sinks, offsite) = (&arguments.sink, arguments.offsite);
        config.subject_of_sinks("prune", Activity::Prune, sinks, offsite)
    };
    let request = PruneRequest {
        sinks: arguments.sink,
        offsite: arguments.offsite,
        policy: policy(&arguments.keep)?,
        filter: arguments.filter.into(),
        dry_run,
    };
    let pruning = Box::pin(async {
        let plan = config.plan_prune(request)?;
        let tell = |sink: &SinkReport| tell(session.output, sink, dry_run);
        Ok(operation::prune(&session.context, plan, tell).await)
    });
    let report = session.record(subject, pruning).await?;
    session.output.told(&report)
}

/// What the command line says of what stays; nothing when it does not say anything.
fn policy(keep: &Keep) -> Result<Option<Policy>> {
    let said = [
        keep.last,
        keep.hourly,
        keep.daily,
        keep.weekly,
        keep.monthly,
        keep.yearly,
    ];
    if said.iter().all(Option::is_none) {
        return Ok(None);
    }
    let [last, hourly, daily, weekly, monthly, yearly] = said.map(Option::unwrap_or_default);
    Policy::new(Counts {
        last,
        hourly,
        daily,
        weekly,
        monthly,
        yearly,
    })
    .map(Some)
}

/// Prints how one sink went.
pub(super) fn tell(output: &Output, report: &SinkReport, dry_run: bool) {
    let sink = &report.sink;
    match &report.result {
        Ok(Outcome::Pruned { pruned }) => output.line(&show(sink, pruned, dry_run)),
        Ok(Outcome::Skipped { class, advice }) => output.warning(
            &format!(
                "{sink} is not pruned: its credentials are {class} and may not delete anything"
            ),
            Some(&advice.join(". ")),
        ),
        Err(error) => output.failure(error),
    }
}

fn show(sink: &str, report: &Pruned, dry_run: bool) -> String {
    let all = report.snapshots.len();
    if all == 0 {
        return format!("{sink}: no snapshot matches, nothing to prune");
    }
    let mut rows = vec![
        ["ID", "TIME", "HOST", "TAGS", "PATHS", "KEPT AS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.snapshots.iter().map(|judged| {
        let snapshot = &judged.snapshot;
        vec![
            short(&snapshot.id).to_owned(),
            time(snapshot.time),
            snapshot.hostname.clone(),
            snapshot.tags.join(","),
            snapshot.paths.join(", "),
            reasons(&judged.kept, dry_run),
        ]
    }));
    let gone = report
        .snapshots
        .iter()
        .filter(|judged| judged.kept.is_empty())
        .count();
    let store = &report.store;
    let freed = store.bytes_removed.saturating_sub(store.bytes_written);
    format!(
        "{}{sink}: {gone} of {} {}removed, {} {}freed, {} left",
        table(&rows),
        count(all as u64, "snapshot", "snapshots"),
        if dry_run { "would be " } else { "" },
        bytes(freed),
        if dry_run { "would be " } else { "" },
        bytes(store.bytes_left),
    )
}

fn reasons(kept: &[Reason], dry_run: bool) -> String {
    if kept.is_empty() {
        let gone = if dry_run {
            "would be removed"
        } else {
            "removed"
        };
        return gone.to_owned();
    }
    let word = |reason: &Reason| match reason {
        Reason::Last => "last",
        Reason::Hourly => "hourly",
        Reason::Daily => "daily",
        Reason::Weekly => "weekly",
        Reason::Monthly => "monthly",
        Reason::Yearly => "yearly",
    };
    kept.iter().map(word).collect::<Vec<_>>().join(", ")
}
