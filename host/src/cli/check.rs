//! `tthost check`.

use clap::Args;

use super::Session;
use super::args::OneSink;
use super::format::{bytes, count, short};
use super::output::Answer;
use crate::error::Result;
use crate::history::Activity;
use crate::operation::{self, Depth, Finding, Findings, Severity};

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    sink: OneSink,
    /// Also read every byte back
    #[arg(long)]
    read_data: bool,
}

/// Checks a repository.
pub(super) async fn check(session: &Session<'_>, arguments: Check) -> Result<Answer> {
    let config = &session.config;
    let sink = config.sink(&arguments.sink.into())?;
    let names = std::slice::from_ref(&sink.name);
    let subject = config.subject_of_sinks("check", Activity::Check, names, false);
    let depth = if arguments.read_data {
        Depth::Data
    } else {
        Depth::Structure
    };
    let checking = Box::pin(operation::check(&session.context, &sink, depth));
    let report = session.record(subject, checking).await?;
    session
        .output
        .answer(&report, || show(&sink.name, depth, &report.findings))
}

pub(super) fn show(sink: &str, depth: Depth, findings: &Findings) -> String {
    let all = |severity, word| {
        let found = findings.findings.iter();
        let of_it = found.filter(move |finding| finding.severity == severity);
        of_it.map(move |finding| format!("{word}: {}\n", told(finding)))
    };
    let warnings = all(Severity::Warning, "note");
    let text: String = warnings.chain(all(Severity::Error, "damaged")).collect();
    let read = match depth {
        Depth::Data => format!(", {} read back", bytes(findings.bytes_read)),
        Depth::Structure => String::new(),
    };
    let verdict = match findings.errors() {
        0 => "is sound".to_owned(),
        errors => format!("is damaged in {}", count(errors as u64, "place", "places")),
    };
    let looked_at = [
        count(findings.snapshots, "snapshot", "snapshots"),
        count(findings.objects, "object", "objects"),
    ];
    format!("{text}{sink} {verdict}: {}{read}\n", looked_at.join(", "))
}

/// A finding with what it concerns.
fn told(finding: &Finding) -> String {
    let snapshots: Vec<_> = finding.snapshots.iter().map(|id| short(id)).collect();
    let concerns = match (snapshots.as_slice(), finding.paths.as_slice()) {
        ([], []) => return finding.what.clone(),
        ([], paths) => paths.join(", "),
        (snapshots, []) => format!("in snapshot {}", snapshots.join(", ")),
        (snapshots, paths) => format!("{} in snapshot {}", paths.join(", "), snapshots.join(", ")),
    };
    format!("{} ({concerns})", finding.what)
}
