//! `tthost unlock`.

use clap::Args;

use super::Session;
use super::args::OneSink;
use super::format::count;
use super::output::Answer;
use crate::error::Result;
use crate::operation;

#[derive(Debug, Args)]
pub(super) struct Unlock {
    #[command(flatten)]
    sink: OneSink,
    /// Remove every lock, also those of processes that may still be running
    #[arg(long)]
    all: bool,
}

/// Removes locks that were left behind.
pub(super) async fn unlock(session: &Session<'_>, arguments: Unlock) -> Result<Answer> {
    let sink = session.config.sink(&arguments.sink.into())?;
    let report = operation::unlock(&session.context, &sink, arguments.all).await?;
    session.output.outcome(&report, || {
        let locks = count(report.removed, "lock", "locks");
        let rest = if arguments.all {
            ""
        } else {
            "; --all also removes locks that are younger than 30 minutes"
        };
        format!("{}: {locks} removed{rest}\n", report.sink)
    })
}
