//! `tthost copy`.

use clap::Args;

use super::Session;
use super::args::PathFilter;
use super::format::{bytes, count, short, time};
use super::output::Answer;
use crate::config::{CopyRequest, SinkRequest};
use crate::error::Result;
use crate::history::Activity;
use crate::operation::{self, copy::SnapshotReport};

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// An id, its first digits, or `latest`; without it, all snapshots that the other sink lacks
    snapshot: Option<String>,
    /// Copy from this sink [default: restic-local]
    #[arg(long, value_name = "SINK")]
    from: Option<String>,
    /// Copy to this sink
    #[arg(
        long,
        value_name = "SINK",
        required_unless_present = "offsite",
        conflicts_with = "offsite"
    )]
    to: Option<String>,
    /// Copy to the sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    #[command(flatten)]
    filter: PathFilter,
}

/// Copies snapshots from one sink into another.
pub(super) async fn copy(session: &Session<'_>, arguments: Copy) -> Result<Answer> {
    let config = &session.config;
    let plan = config.plan_copy(CopyRequest {
        from: arguments.from.map(SinkRequest::Named).unwrap_or_default(),
        to: arguments
            .to
            .map_or(SinkRequest::Offsite, SinkRequest::Named),
        snapshot: arguments.snapshot,
        filter: arguments.filter.into(),
    })?;
    let to = plan.to.name.clone();
    let names = std::slice::from_ref(&to);
    let planned = config.planned_run_on_sinks("copy", Activity::Copy, names, false);
    let output = session.output;
    let tell = |copied: &SnapshotReport| match &copied.result {
        Ok(receipt) => output.line(&format!(
            "snapshot {} of {} copied to {to} as {}: {}, {} new, {} stored",
            short(&copied.snapshot.id),
            time(copied.snapshot.time),
            short(receipt.snapshot.as_deref().unwrap_or_default()),
            count(receipt.files_total, "file", "files"),
            bytes(receipt.bytes_added),
            bytes(receipt.bytes_stored),
        )),
        Err(error) => output.failure(error),
    };
    let copying = Box::pin(operation::copy(&session.context, plan, tell));
    let report = session.record(planned, copying).await?;
    if !report.present.is_empty() {
        let present = report.present.len() as u64;
        let were = count(present, "snapshot was", "snapshots were");
        output.line(&format!("{were} in {to} already"));
    } else if report.copied.is_empty() {
        output.line("no snapshot matches");
    }
    output.already_printed(&report)
}
