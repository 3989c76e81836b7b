//! `tthost prune`.

use clap::Args;

use super::Session;
use super::format::{bytes, count, short, time};
use super::output::{Answer, Output};
use super::retention::ByPolicy;
use super::table::table;
use crate::config::PruneRequest;
use crate::error::Result;
use crate::history::Activity;
use crate::operation;
use crate::operation::prune::{Outcome, Pruned, SinkReport};
use crate::retention::{Reason, Safeguard};

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// A sink to prune; repeatable
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    sink: Vec<String>,
    /// Also prune every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    /// List the snapshots that would go, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    by_policy: ByPolicy,
}

/// Prunes every sink that is named.
pub(super) async fn prune(session: &Session<'_>, arguments: Prune) -> Result<Answer> {
    let request = PruneRequest {
        sinks: arguments.sink,
        offsite: arguments.offsite,
        forget: arguments.by_policy.into(),
        reclaim: true,
        dry_run: arguments.dry_run,
    };
    prune_as(session, request).await
}

/// Removes what is asked for, and tells of it.
pub(super) async fn prune_as(session: &Session<'_>, request: PruneRequest) -> Result<Answer> {
    let dry_run = request.dry_run;
    let config = &session.config;
    let planned = if request.reclaim && !dry_run {
        config.planned_run_on_sinks("prune", Activity::Prune, &request.sinks, request.offsite)
    } else {
        None
    };
    let pruning = Box::pin(async {
        let plan = config.plan_prune(request)?;
        let print = |sink: &SinkReport| print(session.output, sink, dry_run);
        Ok(operation::prune(&session.context, plan, print).await)
    });
    let report = session.record(planned, pruning).await?;
    session.output.already_printed(&report)
}

/// Prints how one sink went.
pub(super) fn print(output: &Output, report: &SinkReport, dry_run: bool) {
    let sink = &report.sink;
    match &report.result {
        Ok(Outcome::Pruned { pruned }) => {
            output.line(&show(sink, pruned, dry_run));
            warn(output, sink, pruned);
        }
        Ok(Outcome::Skipped { class, advice }) => output.warning(
            &format!(
                "{sink} is not pruned: its credentials are {class} and may not delete anything"
            ),
            Some(&advice.join(". ")),
        ),
        Err(error) => output.failure(error),
    }
}

/// Says what is odd about snapshots that stay.
fn warn(output: &Output, sink: &str, pruned: &Pruned) {
    for held in &pruned.held {
        let help = match held.safeguard {
            Safeguard::Empty | Safeguard::Incomplete => {
                "look into the newest backup; if it is as it should be, run this again with --force"
            }
            Safeguard::NothingLeft => {
                "keep some, for example with keep-last = 1; `tthost forget ID` removes a snapshot by its id"
            }
        };
        let text = format!(
            "{sink}: nothing is removed of {}: {}",
            held.group, held.safeguard
        );
        output.warning(&text, Some(help));
    }
    let is_future = |kept: &[Reason]| kept.contains(&Reason::Future);
    for judged in pruned
        .snapshots
        .iter()
        .filter(|judged| is_future(&judged.kept))
    {
        let text = format!(
            "{sink}: the snapshot {} is dated in the future, {}, and stays",
            short(&judged.snapshot.id),
            time(judged.snapshot.time)
        );
        let help = "check the clock of the machine that made it; `tthost forget ID` removes it";
        output.warning(&text, Some(help));
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
    let would_be = if dry_run { "would be " } else { "" };
    let store = report.store.map_or_else(String::new, |store| {
        let freed = store.bytes_removed.saturating_sub(store.bytes_written);
        let left = bytes(store.bytes_left);
        format!(", {} {would_be}freed, {left} left", bytes(freed))
    });
    format!(
        "{}{sink}: {} of {} {would_be}removed{store}",
        table(&rows),
        report.removed().count(),
        count(all as u64, "snapshot", "snapshots"),
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
    kept.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
