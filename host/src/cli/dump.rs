//! `tthost dump`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::Args;
use tracing::info;

use super::Session;
use super::args::Select;
use super::format::{bytes, count, seconds, short};
use super::output::{Answer, RawOutput};
use crate::error::Result;
use crate::operation::dump::Plan;
use crate::operation::{self, SnapshotFolder, Verdict};

#[derive(Debug, Args)]
pub(super) struct Dump {
    /// An id, its first digits, or `latest`; `ID:FOLDER` takes a folder for the top
    snapshot: SnapshotFolder,
    /// A file, or a directory for a tar archive; `/` for all of the snapshot
    path: OsString,
    #[command(flatten)]
    select: Select,
}

/// Writes a part of a snapshot to standard output.
pub(super) async fn dump(session: &Session<'_>, arguments: Dump) -> Result<Answer> {
    let (output, reader_gone) = RawOutput::open()?;
    let plan = Plan {
        sink: session.config.sink(&arguments.select.sink.into())?,
        snapshot: session.config.snapshot(
            &arguments.snapshot.snapshot,
            arguments.select.filter.into(),
            None,
        )?,
        folder: arguments.snapshot.folder,
        path: arguments.path.into_vec(),
        output: Box::new(output),
    };
    match operation::dump(&session.context, plan).await {
        Ok(dumped) => info!(
            "snapshot {} dumped: {}, {}, {}",
            short(&dumped.snapshot.id),
            count(dumped.files, "file", "files"),
            bytes(dumped.bytes),
            seconds(dumped.duration)
        ),
        Err(_) if reader_gone.is_set() => {}
        Err(error) => return Err(error),
    }
    Ok(Answer::nothing(Verdict::Done))
}
