//! The answers of commands: results on standard output, failures as messages. A reader that went
//! away is no reason to fail.

use std::io::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;
use tracing::{error, warn};

use super::args::{Global, LogFormat};
use super::screen::Screen;
use crate::error::Error;

/// How results are reported.
pub(super) struct Output {
    json: bool,
    quiet: bool,
    /// Failures that are not the end of it are messages; where only the result is in JSON, it holds
    /// them.
    tells_failures: bool,
    screen: Arc<Screen>,
}

impl Output {
    pub(super) fn new(global: &Global, screen: Arc<Screen>) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            tells_failures: !global.json || global.log_format == LogFormat::Json,
            screen,
        }
    }

    /// Where messages and progress appear.
    pub(super) fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    /// A report whose lines were printed as it came about: one document where JSON is asked for.
    pub(super) fn document(&self, report: &impl Serialize) {
        if self.json {
            print(&pretty(report));
        }
    }

    /// A line for people; nothing where JSON is asked for, or quiet.
    pub(super) fn line(&self, text: &str) {
        if !self.json && !self.quiet {
            print(text);
        }
    }

    /// The result as JSON where that is asked for, as text otherwise.
    pub(super) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            print(&pretty(value));
        } else {
            print(&text());
        }
    }

    /// What went wrong and is not the end of it.
    pub(super) fn warning(&self, text: &str, help: Option<&str>) {
        if self.tells_failures {
            warn!(help, "{text}");
        }
    }

    /// An error that is not the end of it.
    pub(super) fn failure(&self, failure: &Error) {
        if self.tells_failures {
            error(failure);
        }
    }
}

/// Tells an error.
pub(super) fn error(error: &Error) {
    error!(error = error as &(dyn std::error::Error + 'static));
}

fn pretty(report: &impl Serialize) -> String {
    serde_json::to_string_pretty(report).expect("reports are JSON")
}

/// Text on standard output, whatever was asked for.
pub(super) fn print(text: &str) {
    let mut output = io::stdout().lock();
    // Who closed the pipe has seen enough.
    let _ = output.write_all(text.as_bytes());
    if !text.is_empty() && !text.ends_with('\n') {
        let _ = output.write_all(b"\n");
    }
    let _ = output.flush();
}
