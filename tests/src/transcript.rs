//! What commands print, in a pipe and on a terminal, as a text that can be compared with a file.
//!
//! What differs from run to run is replaced: ids, times, durations, sizes of compressed data, directories of the test.

use std::cmp::Reverse;
use std::fmt::Write as _;

use anyhow::Result;

use crate::terminal::screen;
use crate::tthost::Tthost;

/// Commands and what they printed.
#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
    /// Texts and what stands for them, the longest first.
    names: Vec<(String, String)>,
    /// Ids in the order in which they appeared, by their first digits.
    ids: Vec<String>,
}

/// How many digits an id is shown with.
const SHORT: usize = 8;

/// Patterns whose `0` is any digit, and which stand for themselves.
const TIMES: [&str; 5] = [
    "0000-00-00T00:00:00Z",
    "0000-00-00 00:00:00",
    "00000000_000000",
    "0000-00-00",
    "00:00:00",
];

/// What follows a size that depends on compression, on names or on times.
const UNSTABLE_SIZES: [&str; 8] = [
    " new",
    " stored",
    " freed",
    " left",
    " in ",
    " would be",
    " read back",
    " that are",
];

impl Transcript {
    /// Shows this text as the name.
    pub fn name(&mut self, text: &str, name: &str) {
        self.names.push((text.to_owned(), name.to_owned()));
        self.names.sort_by_key(|(text, _)| Reverse(text.len()));
    }

    /// Runs a command in a pipe and then on a terminal, however it ends.
    pub fn run(&mut self, tthost: &Tthost, arguments: &[&str]) -> Result<()> {
        self.run_and_answer(tthost, arguments, "")
    }

    /// The same, with this typed on the terminal.
    pub fn run_and_answer(
        &mut self,
        tthost: &Tthost,
        arguments: &[&str],
        typed: &str,
    ) -> Result<()> {
        let piped = tthost.run(arguments)?;
        let mut shown = self.redact(piped.text()?);
        for line in self.redact(&piped.stderr).lines() {
            let _ = writeln!(shown, "! {line}");
        }
        let _ = writeln!(shown, "[exit code {}]", piped.status.code().unwrap_or(-1));
        let seen = tthost.on_terminal(arguments, typed)?;
        let mut on_terminal = self.redact(&without_typed(&screen(seen.text()?), typed));
        let _ = writeln!(
            on_terminal,
            "[exit code {}]",
            seen.status.code().unwrap_or(-1)
        );
        let command = self.redact(&arguments.join(" "));
        let _ = writeln!(self.text, "$ tthost {}\n{shown}", command.trim_end());
        if on_terminal == shown.replace("\n! ", "\n").trim_start_matches("! ") {
            let _ = writeln!(self.text, "(the same on a terminal)\n");
        } else {
            let _ = writeln!(self.text, "on a terminal:\n{on_terminal}");
        }
        Ok(())
    }

    /// Everything so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn redact(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, name) in &self.names {
            text = text.replace(path, name);
        }
        let mut redacted = String::new();
        let mut rest = text.as_str();
        let mut before = ' ';
        while let Some(next) = rest.chars().next() {
            let at_boundary = !before.is_ascii_alphanumeric() && before != '.';
            let found = at_boundary.then(|| self.replacement(rest)).flatten();
            let taken = if let Some((length, replacement)) = found {
                redacted += &replacement;
                length
            } else {
                redacted.push(next);
                next.len_utf8()
            };
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
        redacted
    }

    /// What stands for the beginning of a text, and how long that is.
    fn replacement(&mut self, text: &str) -> Option<(usize, String)> {
        let time = TIMES.iter().find(|pattern| fits(text, pattern));
        if let Some(pattern) = time {
            return Some((pattern.len(), (*pattern).to_owned()));
        }
        let word = text
            .find(|c: char| !c.is_ascii_alphanumeric())
            .map_or(text, |end| &text[..end]);
        let is_hex = word.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && [SHORT, 64].contains(&word.len()) {
            let short = &word[..SHORT];
            let known = self.ids.iter().position(|id| id == short);
            let number = known.unwrap_or_else(|| {
                self.ids.push(short.to_owned());
                self.ids.len() - 1
            });
            let digits = if word.len() == SHORT { "1d" } else { "whole1d" };
            return Some((word.len(), format!("{digits}{number:0>6}")));
        }
        let number = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .map_or(text, |end| &text[..end]);
        if number.is_empty() {
            return None;
        }
        let behind = &text[number.len()..];
        for unit in [" s", "m ago"] {
            if let Some(rest) = behind.strip_prefix(unit)
                && !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            {
                return Some((number.len() + unit.len(), format!("N{unit}")));
            }
        }
        for unit in [" B", " KiB", " MiB"] {
            if let Some(rest) = behind.strip_prefix(unit)
                && UNSTABLE_SIZES.iter().any(|word| rest.starts_with(word))
            {
                return Some((number.len() + unit.len(), "SIZE".to_owned()));
            }
        }
        None
    }
}

/// The text without what was typed, which a terminal shows as soon as it comes: before or behind the question.
fn without_typed(text: &str, typed: &str) -> String {
    let mut text = text.to_owned();
    if !typed.is_empty() {
        text = text.replace(&format!("] {typed}"), "] ");
        if let Some(rest) = text.strip_prefix(typed) {
            text = rest.to_owned();
        }
    }
    text
}

fn fits(text: &str, pattern: &str) -> bool {
    let text = text.as_bytes();
    text.len() >= pattern.len()
        && pattern
            .bytes()
            .zip(text)
            .all(|(expected, c)| match expected {
                b'0' => c.is_ascii_digit(),
                _ => *c == expected,
            })
        && !text.get(pattern.len()).is_some_and(u8::is_ascii_digit)
}
