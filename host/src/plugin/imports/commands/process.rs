//! A running program: its standard error as messages, and its exit as a verdict. It is killed with its children when
//! the plugin drops it.

use std::os::unix::process::ExitStatusExt as _;

use tokio::process::ChildStdout;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tracing::warn;

use crate::confine::{Lifeline, Running};
use crate::plugin::bindings::common::tthost::backup::commands::Exit;
use crate::plugin::bindings::types;
use crate::stderr;
use crate::text::printable;

type Ended = Option<Result<Exit, types::Error>>;

/// A running program, or one that has ended.
pub struct Process {
    stdout: Option<ChildStdout>,
    lifeline: Lifeline,
    ended: watch::Receiver<Ended>,
}

impl Process {
    /// A program that has started, in whose turn no other runs. It is killed when `stop` is sent something after that.
    pub(super) fn new(
        name: &str,
        mut program: Running,
        turn: OwnedSemaphorePermit,
        subject: &str,
        stop: &watch::Sender<()>,
    ) -> Self {
        let stdout = program.take_stdout();
        let listener = program
            .take_stderr()
            .map(|pipe| stderr::listen(pipe, subject, name));
        let lifeline = program.lifeline();
        let (exit_status, ended) = watch::channel(None);
        let mut stop = stop.subscribe();
        let (subject, name) = (subject.to_owned(), printable(name));
        tokio::spawn(async move {
            let status = tokio::select! {
                status = program.wait() => status,
                Ok(()) = stop.changed() => {
                    program.lifeline().cut();
                    program.wait().await
                }
            };
            drop(turn);
            if let Some((why, key)) = program.outgrown() {
                warn!(
                    subject = &*subject,
                    help = format!("raise `{key}` of its grant if it needs more"),
                    "the processes of {name} {why}, and were ended"
                );
            }
            let tail = match listener {
                Some(listener) => listener.last_words().await,
                None => String::new(),
            };
            let exit = match status {
                Ok(status) => Ok(Exit {
                    code: status.code(),
                    signal: status.signal(),
                    stderr_tail: tail,
                }),
                Err(cause) => Err(types::Error::Other(format!(
                    "cannot wait for its end: {cause}"
                ))),
            };
            exit_status.send_replace(Some(exit));
        });
        Self {
            stdout,
            lifeline,
            ended,
        }
    }

    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Resolves when the program has ended and its last words are in.
    pub(super) fn ended(&self) -> impl Future<Output = Result<Exit, types::Error>> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone().unwrap_or_else(|| Err(closed())),
                Err(_) => Err(closed()),
            }
        }
    }

    /// Kills the program and all that it has started.
    pub(super) fn kill(&self) {
        self.lifeline.cut();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn closed() -> types::Error {
    types::Error::Other("tthost lost track of the program".into())
}
