//! `tthost probe`.

use std::fmt::Write as _;

use clap::Args;

use super::Session;
use super::format::time;
use super::output::Answer;
use super::table::table;
use crate::config::SinkRequest;
use crate::error::Result;
use crate::history::Activity;
use crate::operation::probe::Report;
use crate::operation::{self, Answer as Permission};

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The sink whose credentials to test
    #[arg(value_name = "SINK", required_unless_present_any = ["named", "offsite"])]
    sink: Option<String>,
    /// The same
    #[arg(long = "sink", id = "named", value_name = "NAME", conflicts_with_all = ["sink", "offsite"])]
    named: Option<String>,
    /// The sink that has `offsite = true`
    #[arg(long, conflicts_with = "sink")]
    offsite: bool,
}

/// Finds out what a sink's credentials allow.
pub(super) async fn probe(session: &Session<'_>, arguments: &Probe) -> Result<Answer> {
    let config = &session.config;
    let named = arguments.sink.iter().chain(&arguments.named);
    let sinks: Vec<_> = named.cloned().collect();
    let planned = config.planned_run_on_sinks("probe", Activity::Probe, &sinks, arguments.offsite);
    let probing = Box::pin(async {
        let wanted = match sinks.into_iter().next() {
            Some(name) => SinkRequest::Named(name),
            None => SinkRequest::Offsite,
        };
        let sink = config.sink(&wanted)?;
        operation::probe(&session.context, &sink).await
    });
    let report = session.record(planned, probing).await?;
    session.output.answer(&report, || show(&report))
}

fn show(report: &Report) -> String {
    let word = |answer| match answer {
        Permission::Yes => "yes",
        Permission::No => "no",
        Permission::Unknown => "unknown",
    };
    let rights = &report.rights;
    let rows = [
        ("store", rights.put),
        ("read", rights.get),
        ("list", rights.list),
        ("delete", rights.delete),
        ("overwrite", rights.overwrite),
        ("store if absent", rights.put_if_absent),
        ("keeps old versions", rights.versioned),
        ("object lock protects", rights.object_lock),
    ]
    .map(|(what, answer)| vec![what.to_owned(), word(answer).to_owned()]);
    let mut text = format!("{}: {}\n\n{}\n", report.sink, report.class, table(&rows));
    for (what, said) in [
        ("works", report.works),
        ("does not work", report.does_not_work),
    ] {
        let _ = writeln!(text, "{what}: {said}");
    }
    for note in rights.notes.iter().chain(&report.advice) {
        let _ = writeln!(text, "note: {note}");
    }
    if let Some(found) = rights.found {
        let _ = writeln!(text, "probed: {}", time(found));
    }
    text
}
