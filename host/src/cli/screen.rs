//! What is seen while an operation works: messages, and on a terminal how far it has come.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::format::bytes;
use super::output::{note, print};
use crate::event::{Events, Level};

/// Standard error, as the place of messages and progress.
pub(super) struct Screen {
    most: Level,
    /// Shows what a dry run would change, on standard output.
    plans: bool,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// Shows warnings and errors, more with each `verbose`, errors alone when `quiet`; and
    /// progress only to people.
    pub(super) fn new(verbose: u8, quiet: bool, json: bool) -> Self {
        let most = match (quiet, verbose) {
            (true, _) => Level::Error,
            (false, 0) => Level::Warn,
            (false, 1) => Level::Info,
            (false, _) => Level::Debug,
        };
        let shows = !quiet && !json && io::stderr().is_terminal();
        Self {
            most,
            plans: !quiet && !json,
            bar: shows.then(bar),
        }
    }

    /// Takes the progress away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
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
    fn log(&self, subject: &str, level: Level, message: &str) {
        if level > self.most {
            return;
        }
        let line = match level {
            Level::Error => format!("{subject}: error: {message}"),
            _ => format!("{subject}: {message}"),
        };
        match &self.bar {
            Some(bar) => bar.suspend(|| note(&line)),
            None => note(&line),
        }
    }

    fn planned(&self, change: &str) {
        if self.plans {
            match &self.bar {
                Some(bar) => bar.suspend(|| print(change)),
                None => print(change),
            }
        }
    }

    fn transferred(&self, files: u64, total: u64) {
        if let Some(bar) = &self.bar {
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
        if let Some(bar) = &self.bar {
            let of = total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            bar.set_message(format!("{subject}: {done}{of} {what}"));
        }
    }
}
