//! Programs of the operator's own, which may do what this process may: what runs before and after a volume is read, and
//! what is given a notice.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::error::{Error, Kind, Result};
use crate::grant;
use crate::stderr;

/// A program and all that it starts. What is dropped before its end is killed.
struct Group(Option<Pid>);

/// Runs a program to its end, with its granted environment and these bytes on its standard input. What it writes to
/// standard error is told for the subject, under this name. A run that is dropped ends the program and all that it has started.
pub(crate) async fn run(
    subject: &str,
    name: &str,
    command: &grant::Command,
    input: &[u8],
) -> Result<()> {
    let program = &command.program;
    let failed = |text: String| Error::new(Kind::Other, text);
    let environment = command.env.iter();
    let started = Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(environment.map(|(name, value)| (name, OsStr::from_bytes(value.expose()))))
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = started.map_err(|cause| {
        let text = if name == program {
            format!("{program} cannot be started")
        } else {
            format!("the command {name} ({program}) cannot be started")
        };
        failed(text).caused_by(cause)
    })?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let listener = child
        .stderr
        .take()
        .map(|pipe| stderr::listen(pipe, subject, name));
    let status = feed(&mut child, input).await;
    // What it has left running is meant to run.
    group.0 = None;
    if let Some(listener) = listener {
        listener.last_words().await;
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("the command {name} failed: {status}"))),
        Err(cause) => {
            Err(failed(format!("the command {name} cannot be waited for")).caused_by(cause))
        }
    }
}

async fn feed(child: &mut Child, input: &[u8]) -> io::Result<ExitStatus> {
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends without reading says by its exit status how it went.
        let _ = pipe.write_all(input).await;
    }
    child.wait().await
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
