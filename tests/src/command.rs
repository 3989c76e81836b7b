//! Running programs and judging how they ended.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error, as text.
    pub stderr: String,
}

impl Outcome {
    /// This outcome if the program succeeded, and otherwise an error that shows what it wrote.
    pub fn success(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        bail!("{}", self.describe())
    }

    /// Fails unless the program ended with this exit code and what it wrote holds all of
    /// these words, whatever their case.
    pub fn expect_failure(self, code: i32, words: &[&str]) -> Result<Self> {
        if self.status.code() != Some(code) {
            bail!("exit code {code} was expected: {}", self.describe());
        }
        let said = String::from_utf8_lossy(&self.stdout) + &*self.stderr;
        let said = said.to_lowercase();
        for word in words {
            if !said.contains(&word.to_lowercase()) {
                bail!("the message should hold {word:?}: {}", self.describe());
            }
        }
        Ok(self)
    }

    /// Standard output as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.stdout)
            .with_context(|| format!("`{}` wrote what is not UTF-8", self.command))
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.stdout)
            .with_context(|| format!("not one JSON document: {}", self.describe()))
    }

    /// Standard output as JSON documents, one a line.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        self.text()?
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("not a line of JSON: {line:?} of {}", self.describe()))
            })
            .collect()
    }

    /// The command, how it ended, and the end of what it wrote.
    pub fn describe(&self) -> String {
        let mut text = format!("`{}` ended with {}", self.command, self.status);
        let stdout = String::from_utf8_lossy(&self.stdout);
        for (name, output) in [("stdout", &*stdout), ("stderr", &*self.stderr)] {
            if !output.trim().is_empty() {
                let _ = write!(text, "\n--- {name}\n{}", tail(output, 4000));
            }
        }
        text
    }
}

/// Runs a program to its end with nothing on its standard input.
pub fn run(command: &mut Command) -> Result<Outcome> {
    finish(command.stdin(Stdio::null()), None)
}

/// Runs a program to its end, feeding it `input`.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<Outcome> {
    finish(command.stdin(Stdio::piped()), Some(input))
}

fn finish(command: &mut Command, input: Option<&[u8]>) -> Result<Outcome> {
    let line = command_line(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that ends without reading its input tells so by its exit status.
            scope.spawn(move || stdin.write_all(input));
        }
        child.wait_with_output()
    })
    .with_context(|| format!("cannot wait for `{line}`"))?;
    Ok(Outcome {
        command: line,
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A command as one would type it; the environment is left out.
pub fn command_line(command: &Command) -> String {
    let mut line = quote(command.get_program());
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quote(argument));
    }
    line
}

/// Finds a program on `PATH`; where there is none, `remedy` says what to do.
pub fn require(program: &str, remedy: &str) -> Result<()> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    });
    if !found && !Path::new(program).is_file() {
        bail!("`{program}` is not installed: {remedy}");
    }
    Ok(())
}

fn quote(argument: &OsStr) -> String {
    let text = argument.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn tail(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
