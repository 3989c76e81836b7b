//! `tthost run`.

use clap::Args;
use vec1::{Vec1, vec1};

use super::Session;
use super::format::{bytes, count, seconds, short};
use super::output::{Answer, Output};
use crate::config::{RunRequest, Work};
use crate::error::Result;
use crate::operation::run::{Capture, Report, SinkReport, SourceReport};
use crate::operation::{self, Receipt};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A source to back up; repeatable
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// A sink to store in; repeatable
    #[arg(long, value_name = "NAME")]
    sink: Vec<String>,
    /// Run the sources and sinks of a job
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "sink"])]
    job: Option<String>,
    #[command(flatten)]
    options: RunOptions,
}

/// How things are backed up, whatever they are.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    pub(super) offsite: bool,
    /// Tags for the snapshots, with commas between them; repeatable
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) tag: Vec<String>,
    /// The host name in the snapshots [default: `RESTIC_HOST`, else this machine's name]
    #[arg(long)]
    pub(super) host: Option<String>,
    /// Read everything and store nothing
    #[arg(long = "dry-run")]
    pub(super) dry_run: bool,
    /// Also read files that did not change since the last snapshot
    #[arg(long)]
    pub(super) force: bool,
}

/// Backs up every source into all sinks.
pub(super) async fn run(session: &Session<'_>, arguments: Run) -> Result<Answer> {
    run_all(session, vec1![arguments.into()]).await
}

/// Carries out requests one after the other, each as a run of its own, and reports them as one. Nothing
/// begins where one of them makes no sense.
pub(super) async fn run_all(session: &Session<'_>, requests: Vec1<RunRequest>) -> Result<Answer> {
    let mut plans = Vec::new();
    for request in requests {
        let planned = session.config.planned_run(&request);
        match session.config.plan_run(request) {
            Ok(plan) => plans.push((planned, plan)),
            // That it could not even begin is worth telling.
            Err(error) => drop(
                session
                    .record(planned, async { Err::<Report, _>(error) })
                    .await?,
            ),
        }
    }
    let mut report = Report {
        sources: Vec::new(),
    };
    for (planned, plan) in plans {
        let running = Box::pin(async {
            let tell = |source: &SourceReport, sinks: &[&SinkReport]| {
                show(session.output, source, sinks);
            };
            Ok(operation::run(&session.context, plan, tell).await)
        });
        report
            .sources
            .extend(session.record(planned, running).await?.sources);
        if session.context.cancel.is_cancelled() {
            break;
        }
    }
    session.output.already_printed(&report)
}

impl From<Run> for RunRequest {
    fn from(arguments: Run) -> Self {
        Self {
            work: match arguments.job {
                Some(name) => Work::Job(name),
                None => Work::Named {
                    sources: arguments.source,
                    sinks: arguments.sink,
                },
            },
            offsite: arguments.options.offsite,
            tags: arguments.options.tag,
            hostname: arguments.options.host,
            dry_run: arguments.options.dry_run,
            force: arguments.options.force,
        }
    }
}

/// Prints how one source went in these sinks.
pub(super) fn show(output: &Output, report: &SourceReport, sinks: &[&SinkReport]) {
    let capture = match &report.result {
        Ok(capture) => capture,
        Err(error) => return output.failure(error),
    };
    let stored = capture.sinks.iter().filter(|sink| sink.result.is_ok());
    let stored: Vec<_> = stored.map(|sink| sink.sink.as_str()).collect();
    for sink in sinks {
        match &sink.result {
            Ok(receipt) => {
                output.line(&sentence(sink, &report.source, receipt, capture));
            }
            Err(error) if sink.required || stored.is_empty() => output.failure(error),
            Err(error) => output.warning(
                &format!(
                    "{} backup succeeded, {} failed: {}",
                    stored.join(", "),
                    sink.sink,
                    error.message()
                ),
                error.next_step(),
            ),
        }
    }
}

fn sentence(sink: &SinkReport, source: &str, receipt: &Receipt, capture: &Capture) -> String {
    let name = &sink.sink;
    let whole = if capture.complete {
        "snapshot"
    } else {
        "incomplete snapshot"
    };
    let done = match (&receipt.snapshot, &sink.copied_from) {
        (Some(id), None) => format!("{whole} {} of {source} saved in {name}", short(id)),
        (Some(id), Some(origin)) => format!(
            "{whole} {} of {source} copied from {origin} to {name}, which was late",
            short(id)
        ),
        (None, _) => format!("dry run of {source} into {name}, nothing saved"),
    };
    format!(
        "{done}: {}, {} read, {} new, {} stored, {}",
        count(capture.files, "file", "files"),
        bytes(capture.bytes),
        bytes(receipt.bytes_added),
        bytes(receipt.bytes_stored),
        seconds(capture.duration)
    )
}
