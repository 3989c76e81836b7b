//! `tthost check`.

use std::num::NonZeroU32;

use clap::Args;

use super::Session;
use super::args::OneSink;
use super::format::{bytes, count, short};
use super::output::Answer;
use crate::config::{CheckRequest, ReadRequest, ReadSubset};
use crate::error::Result;
use crate::history::Activity;
use crate::operation::check::Cost;
use crate::operation::{self, Finding, Findings, Severity};

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    sink: OneSink,
    #[command(flatten)]
    reading: Reading,
}

/// How much is read back.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Reading {
    /// Also read every byte back
    #[arg(long)]
    read_data: bool,
    /// Also read a part of the data back: part N of M as N/M, or a random part as a percentage
    /// (5%) or a size (10G)
    #[arg(long, value_name = "SUBSET")]
    read_data_subset: Option<ReadSubset>,
    /// Also read another part of the data back each time, so that RUNS checks in a row read everything
    #[arg(long, value_name = "RUNS")]
    rotate: Option<NonZeroU32>,
}

/// Checks a repository.
pub(super) async fn check(session: &Session<'_>, arguments: Check) -> Result<Answer> {
    let config = &session.config;
    let plan = config.plan_check(&CheckRequest {
        sink: arguments.sink.into(),
        read: arguments.reading.into(),
    })?;
    let sink = plan.sink.name.clone();
    let names = std::slice::from_ref(&sink);
    let planned = config.planned_run_on_sinks("check", Activity::Check, names, false);
    let checking = Box::pin(operation::check(&session.context, plan, |cost| {
        session.output.line(&announce(&sink, cost));
    }));
    let report = session.record(planned, checking).await?;
    session
        .output
        .outcome(&report, || show(&sink, report.cost, &report.findings))
}

impl From<Reading> for ReadRequest {
    fn from(reading: Reading) -> Self {
        match (reading.read_data, reading.read_data_subset, reading.rotate) {
            (true, _, _) => Self::Everything,
            (_, Some(subset), _) => Self::Subset(subset),
            (_, _, Some(runs)) => Self::Rotation(runs),
            (false, None, None) => Self::Nothing,
        }
    }
}

/// Estimates the cost of reading data, before the check starts.
fn announce(sink: &str, cost: Cost) -> String {
    let Cost { reading, stored } = cost;
    format!(
        "{sink}: reading back {} in {}, of {} that are stored",
        bytes(reading.bytes),
        count(reading.objects, "object", "objects"),
        bytes(stored.bytes),
    )
}

pub(super) fn show(sink: &str, cost: Option<Cost>, findings: &Findings) -> String {
    let all = |severity, word| {
        let found = findings.findings.iter();
        let of_it = found.filter(move |finding| finding.severity == severity);
        of_it.map(move |finding| format!("{word}: {}\n", describe(finding)))
    };
    let warnings = all(Severity::Warning, "note");
    let text: String = warnings.chain(all(Severity::Error, "damaged")).collect();
    let read = cost.map_or_else(String::new, |_| {
        format!(", {} read back", bytes(findings.bytes_read))
    });
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
fn describe(finding: &Finding) -> String {
    let snapshots: Vec<_> = finding.snapshots.iter().map(|id| short(id)).collect();
    let concerns = match (snapshots.as_slice(), finding.paths.as_slice()) {
        ([], []) => return finding.what.clone(),
        ([], paths) => paths.join(", "),
        (snapshots, []) => format!("in snapshot {}", snapshots.join(", ")),
        (snapshots, paths) => format!("{} in snapshot {}", paths.join(", "), snapshots.join(", ")),
    };
    format!("{} ({concerns})", finding.what)
}
