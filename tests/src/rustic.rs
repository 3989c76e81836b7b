//! The real `rustic`, the other program that reads and writes restic's format.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::{self, Outcome};

/// The version that `cargo xtask` installs.
pub const VERSION: &str = "0.11.4";

/// Where `cargo xtask` keeps tools that no Debian package holds: outside the tree, so
/// that a fresh checkout finds them again.
pub fn tools_directory() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("tthost/tools"))
}

/// A repository as `rustic` sees it.
#[derive(Clone, Debug)]
pub struct Rustic {
    program: PathBuf,
    repository: PathBuf,
    password: String,
    environment: Vec<(&'static str, String)>,
}

impl Rustic {
    /// A repository that need not exist yet. Fails when the program is not installed.
    pub fn at(repository: impl Into<PathBuf>, password: &str) -> Result<Self> {
        Self::with_program(tools_directory()?.join("bin/rustic"), repository, password)
    }

    /// The same as this build of the program sees it.
    pub fn with_program(
        program: PathBuf,
        repository: impl Into<PathBuf>,
        password: &str,
    ) -> Result<Self> {
        let remedy = "`cargo xtask test` installs it";
        command::require(
            program.to_str().context("a path that is not UTF-8")?,
            remedy,
        )?;
        Ok(Self {
            program,
            repository: repository.into(),
            password: password.to_owned(),
            environment: Vec::new(),
        })
    }

    /// The repository in a bucket of an S3 server in place of its own.
    #[must_use]
    pub fn in_bucket(
        mut self,
        endpoint: &str,
        (bucket, prefix): (&str, &str),
        (access_key, secret_key): (&str, &str),
    ) -> Self {
        self.repository = "opendal:s3".into();
        self.environment = [
            ("RUSTIC_REPO_OPT_ENDPOINT", endpoint),
            ("RUSTIC_REPO_OPT_REGION", "us-east-1"),
            ("RUSTIC_REPO_OPT_BUCKET", bucket),
            ("RUSTIC_REPO_OPT_ROOT", prefix),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", secret_key),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
        self
    }

    /// The repository's directory.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// The program with these arguments, set up for this repository, without a cache and
    /// without the user's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut rustic = Command::new(&self.program);
        rustic
            .args(arguments)
            .env("HOME", &self.repository)
            .env("XDG_CONFIG_HOME", &self.repository)
            .env("RUSTIC_REPOSITORY", &self.repository)
            .env("RUSTIC_PASSWORD", &self.password)
            .env("RUSTIC_NO_CACHE", "true")
            .env("RUSTIC_NO_PROGRESS", "true")
            .env("RUSTIC_LOG_LEVEL", "warn")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        rustic
    }

    /// Makes the repository.
    pub fn init(&self) -> Result<()> {
        self.init_with(&[])
    }

    /// Makes the repository with these options.
    pub fn init_with(&self, options: &[&str]) -> Result<()> {
        self.run(&[&["init"], options].concat()).map(drop)
    }

    /// Stores a directory.
    pub fn backup(&self, directory: &Path) -> Result<()> {
        let directory = directory.to_str().context("a path that is not UTF-8")?;
        self.run(&["backup", directory]).map(drop)
    }

    /// Stores `contents` as the file `name` of a new snapshot.
    pub fn backup_stdin(&self, name: &str, contents: &[u8]) -> Result<()> {
        let mut backup = self.command(&["backup", "--stdin-filename", name, "-"]);
        command::run_with_input(&mut backup, contents)?
            .success()
            .map(drop)
    }

    /// What `rustic snapshots` lists, as its JSON has it: groups of snapshots.
    pub fn snapshots(&self) -> Result<Value> {
        self.run(&["snapshots", "--json"])?.json()
    }

    /// Reads every byte of the repository and fails when anything is wrong with it.
    pub fn check(&self) -> Result<()> {
        self.run(&["check", "--read-data"]).map(drop)
    }

    /// The contents of one file of a snapshot.
    pub fn dump(&self, snapshot: &str, path: &str) -> Result<Vec<u8>> {
        let name = format!("{snapshot}:{path}");
        Ok(self.run(&["dump", &name])?.stdout)
    }

    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        command::run(&mut self.command(arguments))?.success()
    }
}
