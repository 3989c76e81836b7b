//! The results of commands: one document on standard output, or text for people. Errors are also messages.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, warn};

use super::screen::Screen;
use super::{document, interrupt, standard};
use crate::error::{Error, Kind, Result};
use crate::operation::{Report, Verdict};

/// The answer of a command, ready to be printed.
pub(super) struct Answer {
    text: String,
    verdict: Verdict,
}

impl Answer {
    /// A text that is the result itself, in whatever form results are asked for.
    pub(super) fn text(text: String) -> Self {
        let verdict = Verdict::Done;
        Self { text, verdict }
    }

    /// Nothing: standard output carried something else.
    pub(super) fn nothing(verdict: Verdict) -> Self {
        let text = String::new();
        Self { text, verdict }
    }
}

/// How the answer of a command looks.
pub(super) struct Output {
    /// The command, for example `plugin list`.
    command: String,
    json: bool,
    quiet: bool,
    screen: Arc<Screen>,
}

impl Output {
    pub(super) fn new(command: String, json: bool, quiet: bool, screen: Arc<Screen>) -> Self {
        Self {
            command,
            json,
            quiet,
            screen,
        }
    }

    /// Whether the answer is a document.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Where messages and progress appear.
    pub(super) fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    /// The report as a document where that is asked for, as text otherwise.
    pub(super) fn answer<R: Report>(
        &self,
        report: &R,
        text: impl FnOnce() -> String,
    ) -> Result<Answer> {
        let verdict = interrupt::judge(report.verdict());
        let text = if self.json {
            document::of_report(&self.command, verdict, report)?
        } else {
            text()
        };
        Ok(Answer { text, verdict })
    }

    /// The same for work that was done, of which nothing is said where quiet is asked for.
    pub(super) fn outcome<R: Report>(
        &self,
        report: &R,
        text: impl FnOnce() -> String,
    ) -> Result<Answer> {
        let text = || if self.quiet { String::new() } else { text() };
        self.answer(report, text)
    }

    /// A report whose lines were printed while the command ran.
    pub(super) fn already_printed<R: Report>(&self, report: &R) -> Result<Answer> {
        self.answer(report, String::new)
    }

    /// The answer of a command that an error ended.
    pub(super) fn failed(&self, failure: &Error) -> Answer {
        self.failure(failure);
        let text = if self.json {
            document::of_error(Some(&self.command), failure)
        } else {
            String::new()
        };
        let verdict = interrupt::judge(Verdict::Failed(failure.kind()));
        Answer { text, verdict }
    }

    /// Prints the answer, and gives the exit code. A result that nobody gets is a failure, and so is a message.
    pub(super) fn finish(&self, answer: &Answer) -> u8 {
        self.screen.clear();
        self.screen.print(&answer.text);
        let unprinted = self.screen.unprinted();
        if let Some(cause) = &unprinted {
            let text = "standard output cannot be written, and the result is lost";
            error(&Error::new(Kind::Other, text).caused_by(cause.to_string()));
        }
        match interrupt::judge(answer.verdict) {
            Verdict::Done if self.screen.has_lost_messages() => Kind::Other.exit_code(),
            Verdict::Done | Verdict::Incomplete if unprinted.is_some() => Kind::Other.exit_code(),
            verdict => interrupt::exit_code(verdict),
        }
    }

    /// A line for people; nothing where JSON is asked for, or quiet.
    pub(super) fn line(&self, text: &str) {
        self.screen.transcript().add(text);
        if !self.json && !self.quiet {
            self.screen.clear();
            self.screen.print(text);
        }
    }

    /// An error that did not stop the command.
    pub(super) fn warning(&self, text: &str, help: Option<&str>) {
        self.screen.clear();
        warn!(help, "{text}");
    }

    /// An error that is not the end of it.
    pub(super) fn failure(&self, failure: &Error) {
        self.screen.clear();
        error(failure);
    }
}

/// Standard output for the contents of files, without a buffer that looks for the ends of lines.
pub(super) struct RawOutput {
    output: File,
    reader_gone: ReaderGone,
}

/// Whether the reader of standard output went away.
#[derive(Clone, Default)]
pub(super) struct ReaderGone(Arc<AtomicBool>);

impl RawOutput {
    /// Standard output, and whether its reader went away.
    pub(super) fn open() -> Result<(Self, ReaderGone)> {
        let output = standard::output().and_then(|output| output.as_fd().try_clone_to_owned());
        let output =
            output.map_err(|cause| Error::of_system("standard output cannot be used", cause))?;
        let reader_gone = ReaderGone::default();
        let contents = Self {
            output: output.into(),
            reader_gone: reader_gone.clone(),
        };
        Ok((contents, reader_gone))
    }
}

impl Write for RawOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes).inspect_err(|cause| {
            if cause.kind() == ErrorKind::BrokenPipe {
                self.reader_gone.0.store(true, Ordering::Relaxed);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl ReaderGone {
    /// It has. A reader that has seen enough is no reason to fail.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells an error.
fn error(error: &Error) {
    error!(error = error as &(dyn std::error::Error + 'static));
}

/// Text on standard output. A reader that went away has seen enough, and is no reason to fail.
pub(super) fn print(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let write = || {
        let mut output = standard::output()?.lock();
        output.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            output.write_all(b"\n")?;
        }
        output.flush()
    };
    match write() {
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
