//! `tthost restore`.

use std::os::fd::AsFd as _;
use std::path::PathBuf;

use clap::Args;
use tracing::info;

use super::Session;
use super::args::Select;
use super::ask::confirm;
use super::format::{bytes, count, seconds, short};
use super::output::Answer;
use super::replaced::{outcome, question};
use super::snapshots::list;
use crate::config::{FilterRequest, RestoreRequest, RestoreTarget};
use crate::error::{Error, Kind, Result};
use crate::operation::restore::{Mode, Report};
use crate::operation::{self, Report as _};
use crate::plugin::Role;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Restore {
    /// An id, its first digits, or `latest`; without it, tthost lists the snapshots
    snapshot: Option<String>,
    #[command(flatten)]
    select: Select,
    /// Restore into this directory
    #[arg(long, value_name = "DIR", group = "destination")]
    to: Option<PathBuf>,
    /// Write the one selected file to standard output
    #[arg(long, group = "destination")]
    stdout: bool,
    /// Restore through this source, to where the data came from
    #[arg(long, value_name = "NAME", group = "destination")]
    source: Option<String>,
    /// Restore to another target: a database, dir:PATH or volume:NAME
    #[arg(long, value_name = "TARGET", requires = "source")]
    target: Option<String>,
    /// Restore a database where it is, instead of beside it
    #[arg(long, requires = "source")]
    in_place: bool,
    /// Only files at or below this path of the snapshot; repeatable
    #[arg(long)]
    path: Vec<String>,
    /// Only files that match this pattern, and everything below a directory that matches;
    /// repeatable. Patterns work as in a .gitignore file at the top of the snapshot
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out files that match this pattern; repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Remove files that are not in the snapshot
    #[arg(long, conflicts_with_all = ["path", "include", "exclude", "stdout"])]
    delete: bool,
    /// Read every restored file back and compare it with the snapshot
    #[arg(long, conflicts_with_all = ["stdout", "dry_run"])]
    verify: bool,
    /// Do not ask before overwriting
    #[arg(long, short)]
    yes: bool,
    /// List the changes without making them
    #[arg(long)]
    dry_run: bool,
}

impl Restore {
    /// Whether standard output carries the file.
    pub(super) fn to_stdout(&self) -> bool {
        self.stdout && self.snapshot.is_some()
    }
}

const HINT: &str = "\nrestore one with `tthost restore ID --to DIR`, or the newest with \
    `tthost restore latest --to DIR`\n";

/// Restores a snapshot; without one, lists those that there are.
pub(super) async fn restore(session: &Session<'_>, arguments: Restore) -> Result<Answer> {
    let Some(snapshot) = arguments.snapshot.clone() else {
        let sink = session.config.spec(Role::Sink, &arguments.select.sink)?;
        let filter = FilterRequest::from(arguments.select.filter);
        return list(session, &sink, &filter.into(), None, HINT).await;
    };
    let (yes, to_stdout, dry_run) = (arguments.yes, arguments.stdout, arguments.dry_run);
    let mut plan = session.config.plan_restore(request(snapshot, arguments)?)?;
    if !yes && let Some((snapshot, replaced)) = plan.replaces(&session.context).await? {
        session.screen.clear();
        confirm(&question(&snapshot, &replaced))?;
    }
    let report = Box::pin(operation::restore(&session.context, plan)).await?;
    if to_stdout {
        // Standard output carries the file.
        info!("{}", sentence(&report, dry_run));
        Ok(Answer::nothing(report.verdict()))
    } else {
        session
            .output
            .answer(&report, || sentence(&report, dry_run))
    }
}

fn request(snapshot: String, arguments: Restore) -> Result<RestoreRequest> {
    let target = if let Some(path) = arguments.to {
        Some(RestoreTarget::Directory(path))
    } else if let Some(name) = arguments.source {
        let place = arguments.target;
        Some(RestoreTarget::Source { name, place })
    } else if arguments.stdout {
        Some(RestoreTarget::Stream(Box::new(standard_output()?)))
    } else {
        None
    };
    Ok(RestoreRequest {
        sink: arguments.select.sink,
        snapshot,
        filter: arguments.select.filter.into(),
        paths: arguments.path,
        include: arguments.include,
        exclude: arguments.exclude,
        target,
        in_place: arguments.in_place,
        delete: arguments.delete,
        mode: if arguments.dry_run {
            Mode::DryRun
        } else {
            Mode::Write {
                verify: arguments.verify,
            }
        },
    })
}

/// Standard output itself, without a buffer that looks for the ends of lines.
fn standard_output() -> Result<std::fs::File> {
    let output = std::io::stdout().as_fd().try_clone_to_owned();
    output
        .map(Into::into)
        .map_err(|cause| Error::new(Kind::Other, "standard output cannot be used").caused_by(cause))
}

fn sentence(report: &Report, dry_run: bool) -> String {
    let done = if dry_run {
        "would be restored"
    } else {
        "restored"
    };
    let removed = match report.removed {
        0 => String::new(),
        removed => format!(", {removed} removed"),
    };
    format!(
        "snapshot {} {done}: {}, {}{removed}, {}{}",
        short(&report.snapshot.id),
        count(report.files, "file", "files"),
        bytes(report.bytes),
        seconds(report.duration),
        outcome(&report.places, dry_run)
    )
}
