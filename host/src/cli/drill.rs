//! `tthost drill`.

use clap::Args;

use super::Session;
use super::format::{bytes, count, seconds, short};
use super::output::{Answer, Output};
use crate::config::DrillRequest;
use crate::error::Result;
use crate::operation;
use crate::operation::drill::{Outcome, Passed, Proof};

#[derive(Debug, Args)]
pub(super) struct Drill {
    /// A source to restore; repeatable [default: those of all jobs]
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// A sink to restore from; repeatable
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    sink: Vec<String>,
    /// Also restore from every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    /// Only snapshots of this host; repeatable
    #[arg(long)]
    host: Vec<String>,
}

/// Restores the newest snapshot of each source for trial.
pub(super) async fn drill(session: &Session<'_>, arguments: Drill) -> Result<Answer> {
    let config = &session.config;
    let request = DrillRequest {
        sources: arguments.source,
        sinks: arguments.sink,
        offsite: arguments.offsite,
        hosts: arguments.host,
    };
    let planned = config.planned_drill(&request);
    let drilling = Box::pin(async {
        let plan = config.plan_drill(&request)?;
        let print = |drill: &operation::drill::Drill| print(session.output, drill);
        Ok(operation::drill(&session.context, plan, print).await)
    });
    let report = session.record(planned, drilling).await?;
    session.output.already_printed(&report)
}

/// Prints how one source went.
pub(super) fn print(output: &Output, drill: &operation::drill::Drill) {
    let (source, sink) = (&drill.source, &drill.sink);
    match &drill.result {
        Ok(Outcome::Passed(passed)) => output.line(&sentence(source, sink, passed)),
        Ok(Outcome::Skipped { class }) => output.line(&format!(
            "{source} is not drilled from {sink}: its credentials are {class} and may not read anything"
        )),
        Err(error) => output.failure(error),
    }
}

fn sentence(source: &str, sink: &str, passed: &Passed) -> String {
    let whole = if passed.complete {
        "snapshot"
    } else {
        "incomplete snapshot"
    };
    let proof = match passed.proof {
        Proof::Restored => "restored for trial and removed",
        Proof::Read => "read to its end",
    };
    format!(
        "{source} from {sink}: {whole} {} {proof}: {}, {}, {}",
        short(&passed.snapshot.id),
        count(passed.files, "file", "files"),
        bytes(passed.bytes),
        seconds(passed.duration)
    )
}
