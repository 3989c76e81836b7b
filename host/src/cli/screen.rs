//! The terminal during an operation: progress, and messages above it.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Global, LogFormat};
use super::format::bytes;
use super::output::print;
use super::record::Transcript;
use super::standard;
use crate::event::Events;
use crate::text::printable_lines;

/// The terminal: results on standard output, messages and progress on standard error.
pub(super) struct Screen {
    /// Shows what a dry run would change, on standard output.
    plans: bool,
    progress: bool,
    bar: OnceLock<ProgressBar>,
    /// Why something could not be written on standard output.
    unprinted: Mutex<Option<io::Error>>,
    /// Something could not be written on standard error.
    lost_messages: AtomicBool,
    transcript: Transcript,
}

impl Screen {
    /// Shows progress only to people.
    pub(super) fn new(global: &Global) -> Self {
        let people = !global.quiet && !global.json;
        let progress = people && global.log_format == LogFormat::Text;
        Self {
            plans: people,
            progress: progress && standard::errors().is_ok_and(|errors| errors.is_terminal()),
            bar: OnceLock::new(),
            unprinted: Mutex::new(None),
            lost_messages: AtomicBool::new(false),
            transcript: Transcript::default(),
        }
    }

    /// Shows progress from now on.
    pub(super) fn start(&self) {
        if self.progress {
            self.bar.get_or_init(bar);
        }
    }

    /// Takes the progress away.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Writes text on standard output, fit for a terminal.
    pub(super) fn print(&self, text: &str) {
        if let Err(cause) = print(&printable_lines(text)) {
            *self.lock() = Some(cause);
        }
    }

    /// Why something could not be written on standard output, if that was so.
    pub(super) fn unprinted(&self) -> Option<io::Error> {
        self.lock().take()
    }

    /// Whether a message could not be written on standard error.
    pub(super) fn has_lost_messages(&self) -> bool {
        self.lost_messages.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<io::Error>> {
        let unprinted = self.unprinted.lock();
        unprinted.unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that were shown, for the history.
    pub(super) fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Writes a line on standard error.
    pub(super) fn note(&self, line: &str) {
        self.transcript.add(line);
        self.above(|| {
            let line = printable_lines(line) + "\n";
            let written =
                standard::errors().and_then(|errors| errors.lock().write_all(line.as_bytes()));
            // Who closed the pipe has seen enough.
            if written.is_err_and(|cause| cause.kind() != ErrorKind::BrokenPipe) {
                self.lost_messages.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Writes something while the progress is out of the way.
    fn above(&self, write: impl FnOnce()) {
        match self.bar.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {msg}")
        .expect("it is a template");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl Events for Screen {
    fn planned(&self, change: &str) {
        if self.plans {
            self.above(|| self.print(change));
        }
    }

    fn transferred(&self, files: u64, total: u64) {
        if let Some(bar) = self.bar.get() {
            let seconds = bar.elapsed().as_secs_f64().max(0.001);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate for people to read"
            )]
            let rate = (total as f64 / seconds) as u64;
            bar.set_message(format!(
                "{files} files, {}, {}/s",
                bytes(total),
                bytes(rate)
            ));
        }
    }

    fn progress(&self, subject: &str, what: &str, done: u64, total: Option<u64>) {
        if let Some(bar) = self.bar.get() {
            let of = total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            bar.set_message(format!("{subject}: {done}{of} {what}"));
        }
    }
}
