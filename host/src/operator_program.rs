//! Runs the operator's own programs with the permissions of this process: before and after a volume is read, for
//! alerts, and to build a plugin.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
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

/// Runs a program of a developer's to its end, in a directory, with the environment of this process and some variables more. Tells
/// each line that it writes to standard error, and answers what it writes to standard output. A run that is dropped ends the program
/// and all that it has started.
pub(crate) async fn build(
    directory: &Path,
    (program, arguments): (&str, &[&str]),
    environment: &[(&str, &str)],
    mut tell: impl FnMut(&str),
) -> Result<Vec<u8>> {
    let lost = |cause: io::Error| {
        Error::of_system(format!("{program} cannot be run"), cause)
            .help(format!("install {program}, or add its directory to PATH"))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(lost)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut written = Vec::new();
    let reading = async {
        match stdout {
            Some(mut pipe) => pipe.read_to_end(&mut written).await.map(drop),
            None => Ok(()),
        }
    };
    let listening = async {
        let Some(pipe) = stderr else {
            return Ok(());
        };
        let (mut pipe, mut line) = (BufReader::new(pipe), Vec::new());
        while pipe.read_until(b'\n', &mut line).await? > 0 {
            tell(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        Ok(())
    };
    let ended = tokio::try_join!(reading, listening, child.wait());
    let ((), (), status) = ended.map_err(lost)?;
    group.0 = None;
    if status.success() {
        return Ok(written);
    }
    Err(Error::new(
        Kind::Other,
        format!("{program} failed: {status}"),
    ))
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
