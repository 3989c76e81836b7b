//! Standard output and error. A reader that went away is no reason to fail.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::error::Error;

/// How results are reported.
pub(super) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
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

    /// What went wrong and is not the end of it, on standard error. In JSON it is a part of the
    /// result.
    pub(super) fn warning(&self, text: &str, help: Option<&str>) {
        if self.json {
            return;
        }
        match help {
            Some(help) => note(&format!("warning: {text}\n  help: {help}")),
            None => note(&format!("warning: {text}")),
        }
    }

    /// An error that is not the end of it, on standard error. In JSON it is a part of the result.
    pub(super) fn failure(&self, error: &Error) {
        if !self.json {
            self.error(error);
        }
    }

    /// The error that ends the command, on standard error.
    pub(super) fn error(&self, error: &Error) {
        let text = if self.json {
            serde_json::json!({ "error": error }).to_string()
        } else {
            match error.next_step() {
                Some(help) => format!("error: {error:#}\n  help: {help}"),
                None => format!("error: {error:#}"),
            }
        };
        note(&text);
    }
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

/// A line on standard error.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
