//! The real `restic`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::command::{self, Outcome};

/// A repository as `restic` sees it.
#[derive(Clone, Debug)]
pub struct Restic {
    program: PathBuf,
    repository: PathBuf,
    password: String,
    environment: Vec<(&'static str, String)>,
}

/// A tar archive.
type Archive = Arc<[u8]>;

/// A repository that others are copies of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Template {
    First,
    Other,
}

impl Restic {
    /// A repository that need not exist yet. Fails when the program is not installed.
    pub fn at(repository: impl Into<PathBuf>, password: &str) -> Result<Self> {
        command::require("restic", "run `apt-get install restic`")?;
        Ok(Self {
            program: "restic".into(),
            repository: repository.into(),
            password: password.to_owned(),
            environment: Vec::new(),
        })
    }

    /// The same as another build of the program sees it.
    #[must_use]
    pub fn by(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// With these variables, which credentials for example are in.
    #[must_use]
    pub fn with(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// The repository's directory, or its place elsewhere as restic writes it.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// The program with these arguments, set up for this repository and without a cache.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut restic = Command::new(&self.program);
        restic
            .args(["--no-cache", "--quiet"])
            .args(arguments)
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_PASSWORD", &self.password)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("RESTIC_PASSWORD_FILE")
            .env_remove("RESTIC_REPOSITORY_FILE");
        restic
    }

    /// Makes the repository.
    pub fn init(&self) -> Result<()> {
        self.run(&["init"]).map(drop)
    }

    /// Makes the repository, in a directory, as a copy of one that restic makes once a process for this password.
    /// restic tries for seconds how much work a password may cost. All copies share an id, a key and
    /// a polynomial, so a test that needs two repositories makes the other one with [`Self::init_other_copy`].
    pub fn init_copy(&self) -> Result<()> {
        self.init_from(Template::First)
    }

    /// The same, as a copy of another repository.
    pub fn init_other_copy(&self) -> Result<()> {
        self.init_from(Template::Other)
    }

    fn init_from(&self, template: Template) -> Result<()> {
        let archive = empty_repository(template, &self.password)?;
        fs::create_dir_all(&self.repository)?;
        let mut extract = Command::new("tar");
        extract.arg("-xC").arg(&self.repository);
        command::run_with_input(&mut extract, &archive)?
            .success()
            .map(drop)
    }

    /// Makes the repository with the chunker's polynomial of `other`, so that the same
    /// contents are cut in the same places.
    pub fn init_like(&self, other: &Self) -> Result<()> {
        let mut init = self.command(&["init", "--copy-chunker-params"]);
        init.env("RESTIC_FROM_REPOSITORY", &other.repository)
            .env("RESTIC_FROM_PASSWORD", &other.password);
        command::run(&mut init)?.success().map(drop)
    }

    /// Stores `contents` as the file `name` of a new snapshot.
    pub fn backup_stdin(&self, name: &str, contents: &[u8]) -> Result<()> {
        let mut backup = self.command(&["backup", "--stdin", "--stdin-filename", name]);
        command::run_with_input(&mut backup, contents)?
            .success()
            .map(drop)
    }

    /// Stores what a directory holds as a new snapshot.
    pub fn backup(&self, directory: &Path) -> Result<()> {
        let mut backup = self.command(&["backup", "."]);
        command::run(backup.current_dir(directory))?
            .success()
            .map(drop)
    }

    /// Gives the newest snapshot another tag, which changes its id.
    pub fn tag_latest(&self, tag: &str) -> Result<()> {
        self.run(&["tag", "--add", tag, "latest"]).map(drop)
    }

    /// All snapshots as restic's JSON has them.
    pub fn snapshots(&self) -> Result<Vec<Value>> {
        let list = self.run(&["snapshots", "--json"])?.json()?;
        Ok(list.as_array().context("not a list of snapshots")?.clone())
    }

    /// Reads every byte of the repository and fails when anything is wrong with it.
    pub fn check(&self) -> Result<()> {
        self.run(&["check", "--read-data"]).map(drop)
    }

    /// The paths of all regular files of a snapshot.
    pub fn files(&self, snapshot: &str) -> Result<Vec<String>> {
        let lines = self.run(&["ls", "--json", snapshot])?.json_lines()?;
        let files = lines.iter().filter(|node| node["type"] == "file");
        files
            .map(|node| {
                Ok(node["path"]
                    .as_str()
                    .context("a node without a path")?
                    .to_owned())
            })
            .collect()
    }

    /// The contents of one file of a snapshot.
    pub fn dump(&self, snapshot: &str, path: &str) -> Result<Vec<u8>> {
        Ok(self.run(&["dump", snapshot, path])?.stdout)
    }

    /// Restores a snapshot below `target`.
    pub fn restore(&self, snapshot: &str, target: &Path) -> Result<()> {
        let target = target.to_str().context("a path that is not UTF-8")?;
        self.run(&["restore", snapshot, "--target", target])
            .map(drop)
    }

    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        command::run(&mut self.command(arguments))?.success()
    }
}

/// A tar archive of an empty repository that restic made with this password, which costs tests next to nothing.
fn empty_repository(template: Template, password: &str) -> Result<Archive> {
    static ARCHIVES: Mutex<BTreeMap<(Template, String), Archive>> = Mutex::new(BTreeMap::new());
    // Locked while it is made, so that it is made once.
    let mut archives = ARCHIVES
        .lock()
        .map_err(|_| anyhow!("restic could not make a repository for another test"))?;
    let key = (template, password.to_owned());
    if let Some(archive) = archives.get(&key) {
        return Ok(archive.clone());
    }
    let directory = tempfile::tempdir()?;
    let restic = Restic::at(directory.path().join("repository"), password)?;
    restic.init()?;
    #[cfg(feature = "cheap-keys")]
    crate::cheap_key::cheapen(&restic.repository, password)?;
    let mut pack = Command::new("tar");
    pack.arg("-cC").arg(&restic.repository).arg(".");
    let archive: Archive = command::run(&mut pack)?.success()?.stdout.into();
    archives.insert(key, archive.clone());
    Ok(archive)
}
