//! `tthost snapshots`.

use clap::Args;

use super::Session;
use super::args::Select;
use super::format::{bytes, count, short, time};
use super::output::Answer;
use super::table::table;
use crate::config::FilterRequest;
use crate::error::Result;
use crate::operation::{self, Filter, Snapshot};
use crate::plugin::Spec;

#[derive(Debug, Args)]
pub(super) struct Snapshots {
    #[command(flatten)]
    select: Select,
    /// Only snapshots of this path; repeatable
    #[arg(long)]
    path: Vec<String>,
    /// Only the newest COUNT snapshots
    #[arg(long, value_name = "COUNT")]
    latest: Option<usize>,
}

/// Lists snapshots.
pub(super) async fn snapshots(session: &Session<'_>, arguments: Snapshots) -> Result<Answer> {
    let sink = session.config.sink(&arguments.select.sink.into())?;
    let mut filter = FilterRequest::from(arguments.select.filter);
    filter.paths = arguments.path;
    list(session, &sink, &filter.into(), arguments.latest, "").await
}

/// Lists the snapshots of a sink, with a hint below for people.
pub(super) async fn list(
    session: &Session<'_>,
    sink: &Spec,
    filter: &Filter,
    newest: Option<usize>,
    hint: &str,
) -> Result<Answer> {
    let listed = operation::snapshots(&session.context, sink, filter, newest).await?;
    session
        .output
        .answer(&listed, || show(&listed.snapshots) + hint)
}

/// Snapshots as a table.
fn show(snapshots: &[Snapshot]) -> String {
    let mut rows = vec![
        ["ID", "TIME", "HOST", "TAGS", "PATHS", "SIZE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(snapshots.iter().map(|snapshot| {
        vec![
            short(&snapshot.id).to_owned(),
            time(snapshot.time),
            snapshot.hostname.clone(),
            snapshot.tags.join(","),
            snapshot.paths.join(", "),
            snapshot.bytes.map(bytes).unwrap_or_default(),
        ]
    }));
    let heading = if snapshots.is_empty() {
        String::new()
    } else {
        table(&rows)
    };
    format!(
        "{heading}{}\n",
        count(snapshots.len() as u64, "snapshot", "snapshots")
    )
}
