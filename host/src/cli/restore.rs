//! `tthost restore`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use clap::Args;
use tracing::info;

use super::Session;
use super::args::{Filter, Select};
use super::ask::confirm;
use super::destination::find_source;
use super::format::{bytes, count, seconds, short};
use super::output::{Answer, RawOutput, ReaderGone};
use super::replaced::{outcome, question};
use super::snapshots::{COLUMNS, list};
use crate::config::{FilterRequest, RestoreRequest, RestoreTarget};
use crate::error::Result;
use crate::history::Activity;
use crate::operation::restore::{Mode, Report};
use crate::operation::snapshot::Plan;
use crate::operation::{self, Report as _, SnapshotFolder, Verdict};

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Restore {
    /// An id, its first digits, or `latest`; without it, tthost lists the snapshots. `ID:FOLDER` restores
    /// the contents of a folder of the snapshot
    snapshot: Option<SnapshotFolder>,
    #[command(flatten)]
    select: Select,
    /// Restore into this directory
    #[arg(long, value_name = "DIR", group = "destination", requires = "snapshot")]
    to: Option<PathBuf>,
    /// Write the one selected file to standard output
    #[arg(long, group = "destination", requires = "snapshot")]
    stdout: bool,
    /// Restore through this source, to where the data came from
    #[arg(long, value_name = "NAME", group = "destination")]
    source: Option<String>,
    /// Restore to another target of the source: a database, dir:PATH or volume:NAME. Without --source, a path is
    /// the same as with --to
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["to", "stdout"], requires = "snapshot")]
    target: Option<String>,
    /// Restore a database where it is, instead of beside it
    #[arg(long, requires = "snapshot", requires = "source")]
    in_place: bool,
    /// Restore a database as this role, whose rights are all that the dump has then
    #[arg(long, value_name = "NAME", requires = "snapshot", requires = "source")]
    role: Option<String>,
    /// Only files at or below this path of the snapshot; repeatable
    #[arg(long, requires = "snapshot")]
    path: Vec<OsString>,
    /// Only files that match this pattern, and everything below a directory that matches;
    /// repeatable. Patterns work as in a .gitignore file at the top of the snapshot
    #[arg(long, value_name = "PATTERN", requires = "snapshot")]
    include: Vec<String>,
    /// Leave out files that match this pattern; repeatable
    #[arg(long, value_name = "PATTERN", requires = "snapshot")]
    exclude: Vec<String>,
    /// Remove files that are not in the snapshot
    #[arg(long, conflicts_with_all = ["path", "include", "exclude", "stdout"], requires = "snapshot")]
    delete: bool,
    /// With --delete: also from the root of a system, like `/`, and from directories that it needs, like `/usr`
    #[arg(long, requires = "delete")]
    delete_from_system: bool,
    /// Read every restored file back and compare it with the snapshot
    #[arg(long, conflicts_with_all = ["stdout", "dry_run"], requires = "snapshot")]
    verify: bool,
    /// Do not ask before overwriting
    #[arg(long, short, requires = "snapshot")]
    yes: bool,
    /// List the changes without making them
    #[arg(long, requires = "snapshot")]
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
pub(super) async fn restore(session: &Session<'_>, mut arguments: Restore) -> Result<Answer> {
    let Some(mut snapshot) = arguments.snapshot.take() else {
        let sink = session.config.sink(&arguments.select.sink.into())?;
        let filter = FilterRequest::from(arguments.select.filter);
        let filter = session.config.filter(filter, arguments.source.as_deref())?;
        return list(session, Plan::all(sink, filter), &COLUMNS, HINT).await;
    };
    let (yes, to_stdout, dry_run) = (arguments.yes, arguments.stdout, arguments.dry_run);
    let mut reader_gone = ReaderGone::default();
    let mut is_named = true;
    let target = if let Some(path) = arguments.to.take() {
        RestoreTarget::Directory(path)
    } else if arguments.stdout {
        let (output, broken) = RawOutput::open()?;
        reader_gone = broken;
        RestoreTarget::Stream(Box::new(output))
    } else {
        match (arguments.source.take(), arguments.target.take()) {
            (Some(name), place) => RestoreTarget::Source { name, place },
            (None, Some(place)) => RestoreTarget::Place(place),
            (None, None) => {
                is_named = false;
                let (id, name) =
                    find_source(session, &arguments.select, &snapshot, dry_run).await?;
                snapshot.snapshot = id;
                arguments.select.filter = Filter::default();
                RestoreTarget::Source { name, place: None }
            }
        }
    };
    let mut plan = session
        .config
        .plan_restore(request(snapshot, target, arguments))?;
    // Nobody said yes to what tthost found out.
    if (!yes || !is_named)
        && let Some(loss) = plan.replaces(&session.context).await?
    {
        session.screen.clear();
        confirm(&question(&loss))?;
    }
    let planned = if dry_run {
        None
    } else {
        let sinks = std::slice::from_ref(&plan.sink.name);
        let config = &session.config;
        config.planned_run_on_sinks("restore", Activity::Restore, sinks, false)
    };
    let restoring = Box::pin(operation::restore(&session.context, plan));
    let report = match session.record(planned, restoring).await {
        Err(_) if reader_gone.is_set() => return Ok(Answer::nothing(Verdict::Done)),
        report => report?,
    };
    if to_stdout {
        // Standard output carries the file.
        info!("{}", sentence(&report, dry_run));
        Ok(Answer::nothing(report.verdict()))
    } else {
        session
            .output
            .outcome(&report, || sentence(&report, dry_run))
    }
}

fn request(snapshot: SnapshotFolder, target: RestoreTarget, arguments: Restore) -> RestoreRequest {
    RestoreRequest {
        sink: arguments.select.sink.into(),
        snapshot,
        filter: arguments.select.filter.into(),
        paths: arguments.path.into_iter().map(OsString::into_vec).collect(),
        include: arguments.include,
        exclude: arguments.exclude,
        target,
        in_place: arguments.in_place,
        role: arguments.role,
        delete: arguments.delete,
        in_system: arguments.delete_from_system,
        mode: if arguments.dry_run {
            Mode::DryRun
        } else {
            Mode::Write {
                verify: arguments.verify,
            }
        },
    }
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
    let failed = match report.failed {
        0 if !report.complete => ", not complete".to_owned(),
        0 => String::new(),
        failed => format!(", {failed} could not be written"),
    };
    format!(
        "snapshot {} {done}: {}, {}{removed}{failed}, {}{}",
        short(&report.snapshot.id),
        count(report.files, "file", "files"),
        bytes(report.bytes),
        seconds(report.duration),
        outcome(&report.places, dry_run)
    )
}
