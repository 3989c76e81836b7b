//! What a command costs, with everything that it starts.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};
use tthost_tests::command::command_line;

/// What one command took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processors, user and system, of all its processes.
    pub(crate) cpu: f64,
    /// The most bytes of memory that one of its processes held.
    pub(crate) peak: u64,
}

impl Cost {
    /// What this takes with what comes after it.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            wall: self.wall + next.wall,
            cpu: self.cpu + next.cpu,
            peak: self.peak.max(next.peak),
        }
    }
}

/// Runs a command to its end and says what it took; its output is thrown away.
///
/// The kernel adds up the children of a process over its whole life, so a process of
/// our own stands between: it runs this command and no other, with [`measure`].
pub(crate) fn cost(command: &mut Command) -> Result<Cost> {
    let line = command_line(command);
    let report = tempfile::NamedTempFile::new()?;
    let mut between = Command::new(std::env::current_exe()?);
    between
        .arg("measure")
        .arg(report.path())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => between.env(name, value),
            None => between.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        between.current_dir(directory);
    }
    let output = between
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!(
            "`{line}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&fs::read(report.path())?).context("no measurement")
}

/// The process between: runs the command and writes its [`Cost`] to `report`.
pub(crate) fn measure(report: &Path, command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("measure what?")?;
    let start = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{status}");
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let cost = Cost {
        wall,
        cpu: microseconds as f64 / 1e6,
        peak: u64::try_from(usage.max_rss())? * 1024,
    };
    fs::write(report, serde_json::to_vec(&cost)?)?;
    Ok(())
}
