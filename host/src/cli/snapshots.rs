//! `tthost snapshots`.

use super::Session;
use super::args::{Select, Snapshots};
use super::format::{bytes, count, short, time};
use super::table::table;
use crate::error::Result;
use crate::operation::{Filter, Snapshot};
use crate::plugin::Role;

/// Lists snapshots.
pub(super) async fn snapshots(session: &Session<'_>, arguments: &Snapshots) -> Result<u8> {
    let mut filter = filter(&arguments.select);
    filter.paths.clone_from(&arguments.path);
    let sink = session.config.spec(Role::Sink, &arguments.select.sink)?;
    let mut listed = crate::operation::snapshots(&session.context, sink, &filter).await?;
    session.screen.clear();
    if let Some(latest) = arguments.latest {
        listed.drain(..listed.len().saturating_sub(latest));
    }
    session.output.result(&listed, || show(&listed));
    Ok(0)
}

/// Which snapshots the arguments mean.
pub(super) fn filter(select: &Select) -> Filter {
    filter_of(&select.host, &select.tag)
}

/// Those of these hosts that have these tags.
pub(super) fn filter_of(hosts: &[String], tags: &[String]) -> Filter {
    Filter {
        hosts: hosts.to_vec(),
        tags: tags.to_vec(),
        paths: Vec::new(),
    }
}

/// Snapshots as a table.
pub(super) fn show(snapshots: &[Snapshot]) -> String {
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
