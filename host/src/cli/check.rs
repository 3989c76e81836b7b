//! `tthost check`.

use super::Session;
use super::args::Check;
use super::format::{bytes, count};
use crate::error::Result;
use crate::operation::{self, Depth, Findings, Verdict};
use crate::plugin::Role;

/// Checks a repository.
pub(super) async fn check(session: &Session<'_>, arguments: &Check) -> Result<Verdict> {
    let sink = session.config.spec(Role::Sink, &arguments.sink)?;
    let depth = if arguments.read_data {
        Depth::Data
    } else {
        Depth::Structure
    };
    let report = operation::check(&session.context, &sink, depth).await?;
    session.screen.clear();
    session
        .output
        .result(&report, || show(&arguments.sink, depth, &report.findings));
    Ok(report.verdict())
}

fn show(sink: &str, depth: Depth, findings: &Findings) -> String {
    let warnings = findings
        .warnings
        .iter()
        .map(|warning| format!("note: {warning}\n"));
    let errors = findings
        .errors
        .iter()
        .map(|error| format!("damaged: {error}\n"));
    let text: String = warnings.chain(errors).collect();
    let read = match depth {
        Depth::Data => format!(", {} read back", bytes(findings.bytes_read)),
        Depth::Structure => String::new(),
    };
    let verdict = match findings.errors.len() {
        0 => "is sound".to_owned(),
        errors => format!("is damaged in {}", count(errors as u64, "place", "places")),
    };
    let looked_at = [
        count(findings.snapshots, "snapshot", "snapshots"),
        count(findings.packs, "pack", "packs"),
        count(findings.blobs, "blob", "blobs"),
    ];
    format!("{text}{sink} {verdict}: {}{read}\n", looked_at.join(", "))
}
