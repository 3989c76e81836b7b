//! Turns the standard error of a program into messages, line by line.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;
use tracing::{Span, error_span, warn};

use crate::text::printable;
use crate::throttle::Throttle;

/// Bytes that are kept of the end.
const TAIL: usize = 4 * 1024;

/// How long the last of it may take to arrive after its program ended. Something that the program
/// left behind may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A longer line is told in pieces.
const LINE: usize = 4 * 1024;

/// Tells what a program of this name writes, which runs for the subject.
pub(crate) fn listen(mut pipe: ChildStderr, subject: &str, command: &str) -> Listener {
    let mut lines = Lines::new(subject, command);
    Listener(tokio::spawn(async move {
        let mut buffer = [0; LINE];
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            lines.take(&buffer[..count]);
        }
        lines.end()
    }))
}

/// The same where there is no task, in a thread.
pub(crate) fn listen_in_thread(
    mut pipe: impl Read + Send + 'static,
    subject: &str,
    command: &str,
) -> Thread {
    let mut lines = Lines::new(subject, command);
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; LINE];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            lines.take(&buffer[..count]);
        }
        lines.end();
        // The other side may have given up.
        let _ = end.send(());
    });
    Thread(ended)
}

/// A thread that listens to a program.
pub(crate) struct Thread(mpsc::Receiver<()>);

impl Thread {
    /// Waits for the rest of what an ended program wrote.
    pub(crate) fn wait(self) {
        // What comes later is told as well, unless this process ends before.
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

/// A task that listens to a program.
pub(crate) struct Listener(JoinHandle<String>);

impl Listener {
    /// Hears the rest of what an ended program wrote, and answers the end of it all.
    pub(crate) async fn last_words(mut self) -> String {
        if let Ok(Ok(tail)) = tokio::time::timeout(LAST_WORDS, &mut self.0).await {
            tail
        } else {
            self.0.abort();
            String::new()
        }
    }
}

/// Cuts bytes into lines and tells each.
struct Lines {
    throttle: Throttle,
    span: Span,
    pending: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Lines {
    fn new(subject: &str, command: &str) -> Self {
        Self {
            throttle: Throttle::new(subject.into()),
            span: error_span!("command", command = printable(command)),
            pending: Vec::new(),
            tail: VecDeque::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            self.tell(&self.pending[..end]);
            self.pending.drain(..=end);
        }
        if self.pending.len() >= LINE {
            self.tell(&self.pending);
            self.pending.clear();
        }
    }

    /// Tells what has no end of line, and answers the last [`TAIL`] bytes.
    fn end(mut self) -> String {
        self.tell(&self.pending);
        let tail = String::from_utf8_lossy(self.tail.make_contiguous()).into_owned();
        // Its last words are of the program too.
        self.span.in_scope(|| drop(self.throttle));
        tail
    }

    fn tell(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if !line.trim().is_empty() {
            let line = printable(line.trim_end());
            self.span.in_scope(|| {
                self.throttle
                    .emit(line.len(), |subject| warn!(subject, "{line}"));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;
    use tracing::Level;

    use super::*;
    use crate::event::diary;

    fn run(script: &str) -> (tokio::process::Child, Listener) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("there is a shell");
        let pipe = child.stderr.take().expect("it is piped");
        (child, listen(pipe, "source test", "sh"))
    }

    #[tokio::test]
    async fn every_line_is_a_message_and_the_end_is_kept() {
        let script = "printf 'one\\n\\n\\033[2Jtwo\\nthr' >&2; printf 'ee' >&2";
        let (tail, told) = diary::of(async {
            let (mut child, listener) = run(script);
            child.wait().await.expect("it ends");
            listener.last_words().await
        })
        .await;
        assert_eq!(tail, "one\n\n\u{1b}[2Jtwo\nthree");
        let lines = ["one", "\\u{1b}[2Jtwo", "three"];
        let lines = lines.map(|line| (Level::WARN, line.to_owned()));
        assert_eq!(told, lines);
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_holds_nobody_up() {
        let (mut child, listener) = run("sleep 5 & echo started >&2");
        child.wait().await.expect("it ends");
        let last_words = tokio::time::timeout(LAST_WORDS * 3, listener.last_words());
        assert_eq!(last_words.await.expect("it is given up"), "");
    }

    #[tokio::test]
    async fn a_line_without_end_is_told_in_pieces() {
        let (_, told) = diary::of(async {
            let mut lines = Lines::new("source test", "sh");
            for _ in 0..2 {
                lines.take(&[b'x'; LINE]);
            }
            lines.take(b"x");
            lines.end()
        })
        .await;
        let lengths: Vec<_> = told.iter().map(|(_, line)| line.len()).collect();
        assert_eq!(lengths, [LINE, LINE, 1]);
    }
}
