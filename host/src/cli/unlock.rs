//! `tthost unlock`.

use super::Session;
use super::args::Unlock;
use super::format::count;
use crate::error::Result;
use crate::operation::{self, Verdict};
use crate::plugin::Role;

/// Removes locks that were left behind.
pub(super) async fn unlock(session: &Session<'_>, arguments: &Unlock) -> Result<Verdict> {
    let sink = session.config.spec(Role::Sink, &arguments.sink)?;
    let report = operation::unlock(&session.context, &sink, arguments.all).await?;
    session.screen.clear();
    session.output.result(&report, || {
        let locks = count(report.removed, "lock", "locks");
        let rest = if arguments.all {
            ""
        } else {
            "; --all also removes locks that are younger than 30 minutes"
        };
        format!("{}: {locks} removed{rest}\n", report.sink)
    });
    Ok(report.verdict())
}
