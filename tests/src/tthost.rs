//! The built program, run as a user would, in an environment of its own.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::command::{self, Outcome};

/// Longer than any test takes. A program that hangs fails its test with exit code 124.
const DEADLINE_SECONDS: &str = "300";

/// The program, with a home and a working directory that are its own and empty, and no
/// environment but what a test gives it.
#[derive(Debug)]
pub struct Tthost {
    program: PathBuf,
    environment: BTreeMap<String, OsString>,
    home: TempDir,
}

impl Tthost {
    /// The program that `TTHOST_BIN` names, and otherwise the workspace's build for tests.
    pub fn new() -> Result<Self> {
        let program = program()?;
        let home = tempfile::Builder::new().prefix("tthost-home.").tempdir()?;
        // Compiled components are shared by all tests, as they are by a user's runs.
        let cache = program.with_file_name("tthost-test-cache");
        let environment = [
            ("PATH", env::var_os("PATH").context("PATH is not set")?),
            ("LC_ALL", "C.UTF-8".into()),
            ("HOME", home.path().into()),
            ("TTHOST_CACHE_DIR", cache.into()),
            ("TTHOST_STATE_DIR", home.path().join("state").into()),
        ];
        Ok(Self {
            program,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            home,
        })
    }

    /// The file of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its home, which is its working directory too.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Sets variables of its environment.
    pub fn set<N: Into<String>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.environment.extend(variables);
    }

    /// Removes variables from its environment.
    pub fn unset(&mut self, names: &[&str]) {
        for name in names {
            self.environment.remove(*name);
        }
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        // Whoever runs the tests with nohup means the tests.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(&self.program);
        self.place(command.args(arguments));
        command
    }

    /// Runs the program to its end, however that is.
    pub fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut timeout = Command::new("timeout");
        timeout
            .args(["--kill-after=10", DEADLINE_SECONDS])
            .arg(&self.program)
            .args(arguments);
        self.place(&mut timeout);
        let outcome = command::run(&mut timeout)?;
        if outcome.status.code() == Some(124) {
            bail!(
                "no end after {DEADLINE_SECONDS} seconds: {}",
                outcome.describe()
            );
        }
        Ok(outcome)
    }

    /// Runs the program and fails unless it succeeds.
    pub fn ok(&self, arguments: &[&str]) -> Result<Outcome> {
        self.run(arguments)?.success()
    }

    /// Runs the program and fails unless it ends with this exit code and a message that
    /// holds all of these words.
    pub fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) -> Result<Outcome> {
        self.run(arguments)?.expect_failure(code, words)
    }

    /// Runs the program on a terminal on which this is typed, however it ends. Its standard output has all that the terminal
    /// shows.
    pub fn on_terminal(&self, arguments: &[&str], typed: &str) -> Result<Outcome> {
        let line = command::command_line(&self.command(arguments));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        self.place(&mut script);
        command::run_with_input(&mut script, typed.as_bytes())
    }

    /// Runs the program as root without some of its rights, and fails unless it succeeds.
    pub fn ok_without(&self, capabilities: &[&str], arguments: &[&str]) -> Result<Outcome> {
        self.run_without(capabilities, arguments)?.success()
    }

    /// Runs the program as root without some of its rights, however it ends.
    pub fn run_without(&self, capabilities: &[&str], arguments: &[&str]) -> Result<Outcome> {
        let dropped: Vec<_> = capabilities.iter().map(|name| format!("-{name}")).collect();
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args(["--bounding-set", &dropped.join(",")])
            .args(["--inh-caps", &dropped.join(",")])
            .arg(&self.program)
            .args(arguments);
        self.place(&mut setpriv);
        command::run(&mut setpriv)
    }

    /// Runs a script of the shell whose `"$@"` is the program with these arguments, however it ends.
    pub fn in_shell(&self, script: &str, arguments: &[&str]) -> Result<Outcome> {
        let mut shell = Command::new("timeout");
        shell
            .args(["--kill-after=10", DEADLINE_SECONDS])
            .args(["sh", "-c", script, "sh"])
            .arg(&self.program)
            .args(arguments);
        self.place(&mut shell);
        command::run(&mut shell)
    }

    fn place(&self, command: &mut Command) {
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.home());
    }
}

/// The program that `TTHOST_BIN` names, and otherwise the workspace's build for tests.
fn program() -> Result<PathBuf> {
    match env::var_os("TTHOST_BIN") {
        Some(path) => found(path.into(), "cargo build"),
        None => found(target_directory().join("debug/tthost"), "cargo build"),
    }
}

/// The workspace's release build, for those who do not test the program but use it.
pub fn release() -> Result<PathBuf> {
    found(
        target_directory().join("release/tthost"),
        "cargo xtask build",
    )
}

fn found(program: PathBuf, remedy: &str) -> Result<PathBuf> {
    ensure!(
        program.is_file(),
        "{} is not there: run `{remedy}`",
        program.display()
    );
    Ok(program)
}

fn target_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => directory.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
