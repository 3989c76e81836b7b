//! Runs a job in a process of its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Runner;
use crate::error::{Error, Kind, Result};

/// How long a run may take to end in good order.
const GRACE: Duration = Duration::from_mins(2);

/// This program, which runs jobs as `PROGRAM ARGUMENTS schedule run JOB`.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// The options for all commands.
    pub arguments: Vec<OsString>,
    /// Store in all sinks that are marked as offsite too.
    pub offsite: bool,
}

impl Runner for Program {
    async fn run(&self, job: &str, stop: &CancellationToken) -> Result<i32> {
        let failed = |cause: io::Error| {
            Error::new(Kind::Other, format!("the job {job} cannot be run")).caused_by(cause)
        };
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .args(["schedule", "run", job])
            .args(self.offsite.then_some("--offsite"))
            // Ctrl-C is for the daemon, which passes it on once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        tokio::select! {
            status = child.wait() => return Ok(code(status.map_err(failed)?)),
            () = stop.cancelled() => terminate(&child),
        }
        if let Ok(status) = timeout(GRACE, child.wait()).await {
            return Ok(code(status.map_err(failed)?));
        }
        child.kill().await.map_err(failed)?;
        let status = child.wait().await;
        Ok(code(status.map_err(failed)?))
    }
}

/// Asks a process to end, if it has not ended by itself.
fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        // It has ended meanwhile, or it is waited for.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// The exit code, as a shell has it for a process that a signal ended.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
