//! A running program: its standard error in messages, its end as a verdict, and its whole
//! process group killed when nobody holds it any more.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::spawn::Anchor;
use crate::plugin::bindings::common::tthost::backup::commands::Exit;
use crate::plugin::bindings::types;
use crate::stderr;

type Ended = Option<Result<Exit, types::Error>>;

/// A running program, or one that has ended.
pub struct Process {
    stdout: Option<ChildStdout>,
    group: Option<Pid>,
    /// The program is reaped, and its number may be somebody else's.
    over: Arc<AtomicBool>,
    ended: watch::Receiver<Ended>,
}

impl Process {
    /// A program that has started, in whose turn no other runs. It is killed when `stop` is sent something after that.
    pub(super) fn new(
        name: &str,
        (mut child, anchor): (Child, Anchor),
        turn: OwnedSemaphorePermit,
        subject: &str,
        stop: &watch::Sender<()>,
    ) -> Self {
        let stdout = child.stdout.take();
        let listener = child
            .stderr
            .take()
            .map(|pipe| stderr::listen(pipe, subject, name));
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (exit_status, ended) = watch::channel(None);
        let over = Arc::new(AtomicBool::new(false));
        let reaped = over.clone();
        let mut stop = stop.subscribe();
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                Ok(()) = stop.changed() => {
                    kill(group);
                    child.wait().await
                }
            };
            reaped.store(true, Ordering::Release);
            drop((anchor, turn));
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
            group,
            over,
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
                Ok(exit) => exit.clone().unwrap_or_else(|| Err(lost())),
                Err(_) => Err(lost()),
            }
        }
    }

    /// Kills the program and all that is still in its process group.
    pub(super) fn kill(&self) {
        if !self.over.load(Ordering::Acquire) {
            kill(self.group);
        }
    }
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself in this moment.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn lost() -> types::Error {
    types::Error::Other("tthost lost track of the program".into())
}
