//! `tthost snapshots`.

use clap::Args;
use vec1::Vec1;

use super::Session;
use super::args::Select;
use super::format::{bytes, count, short, time};
use super::output::Answer;
use super::table::table;
use crate::config::FilterRequest;
use crate::error::Result;
use crate::operation::snapshot::{self, Grouped, MAX_NAMED, Plan};
use crate::operation::{self, Snapshot};
use crate::retention::GroupBy;

#[derive(Debug, Args)]
pub(super) struct Snapshots {
    /// Only these snapshots: ids, their first digits, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    named: Vec<String>,
    #[command(flatten)]
    select: Select,
    /// Only snapshots of this path; repeatable
    #[arg(long)]
    path: Vec<String>,
    /// Only the newest COUNT snapshots of each host and set of paths, or of each group
    #[arg(long, value_name = "COUNT")]
    latest: Option<usize>,
    /// List snapshots in groups with the same host, paths, tags
    #[arg(long, short, value_name = "KEYS")]
    group_by: Option<GroupBy>,
    /// Show ids, times, hosts and tags only
    #[arg(long, short)]
    compact: bool,
}

/// Lists snapshots.
pub(super) async fn snapshots(session: &Session<'_>, arguments: Snapshots) -> Result<Answer> {
    let mut filter = FilterRequest::from(arguments.select.filter);
    filter.paths = arguments.path;
    let config = &session.config;
    let named = |word: &String| config.snapshot(word, FilterRequest::default(), None);
    let plan = Plan {
        sink: config.sink(&arguments.select.sink.into())?,
        select: match Vec1::try_from_vec(arguments.named) {
            Ok(ids) => snapshot::Select::Named(ids.try_mapped_ref(named)?),
            Err(_) => snapshot::Select::Matching(filter.into()),
        },
        group_by: arguments.group_by,
        latest: arguments.latest,
    };
    let columns: &[Column] = if arguments.compact {
        &COMPACT
    } else {
        &COLUMNS
    };
    list(session, plan, columns, "").await
}

/// Lists snapshots with these columns, and a hint below for people.
pub(super) async fn list(
    session: &Session<'_>,
    plan: Plan,
    columns: &[Column],
    hint: &str,
) -> Result<Answer> {
    let listed = operation::snapshots(&session.context, plan).await?;
    for damaged in listed.damaged.iter().take(MAX_NAMED) {
        let help = format!(
            "put its file back from a copy, or remove it with `tthost forget {}`",
            short(&damaged.id)
        );
        session.output.warning(&damaged.why, Some(&help));
    }
    if let Some(rest @ 1..) = listed.damaged.len().checked_sub(MAX_NAMED) {
        let text = format!("{rest} more snapshots are damaged");
        let help = "`tthost snapshots --json` lists all of them";
        session.output.warning(&text, Some(help));
    }
    session.output.answer(&listed, || match &listed.groups {
        None => show(&listed.snapshots, columns) + hint,
        Some(groups) => {
            let section =
                |group: &Grouped| format!("{}\n{}", group.group, show(&group.snapshots, columns));
            groups.iter().map(section).collect::<Vec<_>>().join("\n")
        }
    })
}

/// A column's heading, and what it shows of a snapshot.
pub(super) type Column = (&'static str, fn(&Snapshot) -> String);

const ID: Column = ("ID", |snapshot| short(&snapshot.id).to_owned());
const TIME: Column = ("TIME", |snapshot| time(snapshot.time));
const HOST: Column = ("HOST", |snapshot| snapshot.hostname.clone());
const TAGS: Column = ("TAGS", |snapshot| snapshot.tags.join(","));
const PATHS: Column = ("PATHS", |snapshot| snapshot.paths.join(", "));
const SIZE: Column = ("SIZE", |snapshot| {
    snapshot.bytes.map(bytes).unwrap_or_default()
});

/// All columns.
pub(super) const COLUMNS: [Column; 6] = [ID, TIME, HOST, TAGS, PATHS, SIZE];

/// Those that are short.
const COMPACT: [Column; 4] = [ID, TIME, HOST, TAGS];

/// Snapshots as a table.
fn show(snapshots: &[Snapshot], columns: &[Column]) -> String {
    let number = count(snapshots.len() as u64, "snapshot", "snapshots");
    if snapshots.is_empty() {
        return format!("{number}\n");
    }
    let heading = columns.iter().map(|(heading, _)| (*heading).to_owned());
    let mut rows = vec![heading.collect::<Vec<_>>()];
    rows.extend(snapshots.iter().map(|snapshot| {
        let cells = columns.iter().map(|(_, cell)| cell(snapshot));
        cells.collect()
    }));
    format!("{}{number}\n", table(&rows))
}
