//! Granted programs that read a notice.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::grant;
use crate::notify::Notice;
use crate::stderr;

/// Runs a program with the notice as JSON on its standard input. What it writes to standard error is told.
pub(super) async fn run(
    alert: &str,
    command: &grant::Command,
    notice: &Notice,
    limit: Duration,
) -> Result<()> {
    let program = &command.program;
    let failed = |text: String| Error::new(Kind::Other, format!("{program} {text}"));
    let environment = command.env.iter();
    let mut child = Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(environment.map(|(name, value)| (name, OsStr::from_bytes(value.expose()))))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| failed("cannot be started".into()).caused_by(cause))?;
    let subject = format!("alert {alert}");
    let listener = child
        .stderr
        .take()
        .map(|pipe| stderr::listen(pipe, &subject, program));
    let document = serde_json::to_vec(notice).unwrap_or_default();
    let group = child.id();
    let ended = timeout(limit, feed(&mut child, &document)).await;
    if ended.is_err() {
        kill_group(group);
    }
    if let Some(listener) = listener {
        listener.last_words().await;
    }
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(format!("failed: {status}"))),
        Ok(Err(cause)) => Err(failed("cannot be waited for".into()).caused_by(cause)),
        Err(_) => Err(failed(format!("took longer than {} s", limit.as_secs()))),
    }
}

async fn feed(child: &mut Child, document: &[u8]) -> std::io::Result<std::process::ExitStatus> {
    if let Some(mut input) = child.stdin.take() {
        // A program that ends without reading says by its exit status how it went.
        let _ = input.write_all(document).await;
    }
    child.wait().await
}

/// Ends the program with all that it started.
fn kill_group(group: Option<u32>) {
    let group = group.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
