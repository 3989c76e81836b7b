//! `tthost check`.

use super::args::Check;
use super::format::{bytes, count};
use super::{Session, exit};
use crate::error::Result;
use crate::operation::{Depth, Findings};
use crate::plugin::Role;

/// Checks a repository; damage is exit code 1.
pub(super) async fn check(session: &Session<'_>, arguments: &Check) -> Result<u8> {
    let sink = session.config.spec(Role::Sink, &arguments.sink)?;
    let depth = if arguments.read_data {
        Depth::Data
    } else {
        Depth::Structure
    };
    let findings = crate::operation::check(&session.context, sink, depth).await?;
    session.screen.clear();
    session
        .output
        .result(&findings, || show(&arguments.sink, depth, &findings));
    Ok(if findings.errors.is_empty() {
        0
    } else {
        exit::FAILED
    })
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
