//! `tthost prune`.

use serde_json::{Value, json};

use super::args::{Keep, Prune};
use super::format::{bytes, count, short, time};
use super::probe::{advice, class_name};
use super::snapshots::filter_of;
use super::table::table;
use super::tally::Tally;
use super::{Session, offsite, output};
use crate::error::Result;
use crate::operation::{self, PruneReport, Pruned, Rights};
use crate::plugin::Role;
use crate::retention::{Policy, Reason};

/// Prunes every sink that is named. One that fails does not stop the others.
pub(super) async fn prune(session: &Session<'_>, arguments: &Prune) -> Result<u8> {
    let mut filter = filter_of(&arguments.host, &arguments.tag);
    filter.paths.clone_from(&arguments.path);
    let mut names = arguments.sink.clone();
    for sink in offsite(session, arguments.offsite)? {
        if !names.contains(&sink) {
            names.push(sink);
        }
    }
    // Whatever is wrong with the configuration is found before anything is done.
    let mut requests = Vec::new();
    for name in &names {
        requests.push(operation::Prune {
            sink: session.config.spec(Role::Sink, name)?,
            policy: policy(&arguments.keep).unwrap_or_else(|| session.config.retention()),
            filter: filter.clone(),
            dry_run: arguments.dry_run,
        });
    }
    let mut tally = Tally::default();
    let mut reports = Vec::new();
    for (name, request) in names.iter().zip(requests) {
        let result = operation::prune(&session.context, request).await;
        session.screen.clear();
        reports.push(report(session, name, result, arguments.dry_run, &mut tally));
        if session.context.cancel.is_cancelled() {
            break;
        }
    }
    session
        .output
        .result(&json!({ "sinks": reports }), String::new);
    Ok(tally.exit_code())
}

/// What the command line says of what stays; nothing when it does not say anything.
fn policy(keep: &Keep) -> Option<Policy> {
    let said = [
        keep.last,
        keep.hourly,
        keep.daily,
        keep.weekly,
        keep.monthly,
        keep.yearly,
    ];
    said.iter().any(Option::is_some).then(|| {
        let [last, hourly, daily, weekly, monthly, yearly] = said.map(Option::unwrap_or_default);
        Policy {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
        }
    })
}

/// Prints how one sink went, and answers the same as JSON.
fn report(
    session: &Session<'_>,
    sink: &str,
    result: Result<Pruned>,
    dry_run: bool,
    tally: &mut Tally,
) -> Value {
    match result {
        Ok(Pruned::Done(report)) => {
            tally.made += 1;
            session.output.line(&show(sink, &report, dry_run));
            json!({ "sink": sink, "pruned": report })
        }
        Ok(Pruned::Skipped(rights)) => {
            tally.made += 1;
            let advice = skipped(session, sink, &rights);
            json!({ "sink": sink, "skipped": rights.class(), "advice": advice })
        }
        Err(error) => {
            if !session.output.is_json() {
                session.output.error(&error);
            }
            if session.config.is_required(sink) {
                tally.required.get_or_insert(error.exit_code());
            }
            tally.errors.push(error.clone());
            json!({ "sink": sink, "error": output::json(&error) })
        }
    }
}

/// Says why nothing is removed, and what to do instead.
fn skipped(session: &Session<'_>, sink: &str, rights: &Rights) -> Vec<String> {
    let class = rights.class();
    let advice = advice(rights, class);
    session.output.warning(
        &format!(
            "{sink} is not pruned: its credentials are {} and may not delete anything",
            class_name(class)
        ),
        Some(&advice.join(". ")),
    );
    advice
}

fn show(sink: &str, report: &PruneReport, dry_run: bool) -> String {
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
