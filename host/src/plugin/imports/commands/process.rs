//! A running program: its standard error in the log, its end as a verdict, and its whole
//! process group killed when nobody holds it any more.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::sync::watch;

use super::spawn::Anchor;
use crate::event::{Events, Level};
use crate::plugin::bindings::common::tthost::backup::commands::Exit;
use crate::plugin::bindings::types;
use crate::text::printable;

/// Bytes of standard error that are kept for the verdict.
const TAIL: usize = 4 * 1024;

/// How long the last of a standard error may take to arrive after its program ended.
/// Something that it left behind may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A longer line of standard error is logged in pieces.
const LINE: usize = 4 * 1024;

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
    pub(super) fn new(
        name: String,
        (mut child, anchor): (Child, Anchor),
        subject: Arc<str>,
        events: Arc<dyn Events>,
    ) -> Self {
        let stdout = child.stdout.take();
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (exit_status, ended) = watch::channel(None);
        let over = Arc::new(AtomicBool::new(false));
        let reaped = over.clone();
        tokio::spawn(async move {
            let listener = child
                .stderr
                .take()
                .map(|pipe| tokio::spawn(listen(pipe, name, subject, events)));
            let status = child.wait().await;
            reaped.store(true, Ordering::Release);
            drop(anchor);
            let tail = match listener {
                Some(listener) => last_words(listener).await,
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
        if let Some(group) = self.group.filter(|_| !self.over.load(Ordering::Acquire)) {
            // It may have ended by itself in this moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
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

async fn last_words(mut listener: tokio::task::JoinHandle<Tail>) -> String {
    if let Ok(Ok(tail)) = tokio::time::timeout(LAST_WORDS, &mut listener).await {
        tail.text()
    } else {
        listener.abort();
        String::new()
    }
}

/// Logs standard error line by line, and keeps its end.
async fn listen(
    mut pipe: ChildStderr,
    name: String,
    subject: Arc<str>,
    events: Arc<dyn Events>,
) -> Tail {
    let name = printable(&name);
    let log = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        if !line.trim().is_empty() {
            events.log(
                &subject,
                Level::Warn,
                &format!("{name}: {}", printable(line.trim_end())),
            );
        }
    };
    let mut tail = Tail::default();
    let mut pending = Vec::new();
    let mut buffer = [0; LINE];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let said = &buffer[..count];
        tail.push(said);
        pending.extend_from_slice(said);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            log(&pending[..end]);
            pending.drain(..=end);
        }
        if pending.len() >= LINE {
            log(&pending);
            pending.clear();
        }
    }
    log(&pending);
    tail
}

/// The last [`TAIL`] bytes of a text.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(TAIL);
        self.0.drain(..excess);
    }

    fn text(mut self) -> String {
        String::from_utf8_lossy(self.0.make_contiguous()).into_owned()
    }
}
