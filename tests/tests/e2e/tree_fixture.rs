//! A directory to back up, and a repository for it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::restic::Restic;
use tthost_tests::tthost::Tthost;

pub(crate) const PASSWORD: &str = "password";

/// A directory to back up and a repository.
pub(crate) struct TreeFixture {
    pub(crate) directory: TempDir,
    pub(crate) tthost: Tthost,
    pub(crate) restic: Restic,
}

impl TreeFixture {
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-fixture.")
            .tempdir()?;
        let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
        restic.init_copy()?;
        fs::create_dir(directory.path().join("tree"))?;
        let mut tthost = Tthost::new()?;
        tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        Ok(Self {
            directory,
            tthost,
            restic,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<()> {
        let path = self.path("tree").join(name);
        fs::create_dir_all(path.parent().context("it has a parent")?)?;
        Ok(fs::write(path, contents)?)
    }

    pub(crate) fn source(&self) -> String {
        format!("dir:{}", self.path("tree").display())
    }

    /// Backs the tree up with these arguments besides, and answers the report of the one sink.
    pub(crate) fn back_up(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let source = self.source();
        let run = [
            "run",
            "--json",
            "--source",
            &source,
            "--sink",
            "restic-local",
        ];
        let report = self.tthost.ok(&[&run[..], arguments].concat())?.json()?;
        Ok(report["sources"][0].clone())
    }

    /// The paths of the latest snapshot, below the tree.
    pub(crate) fn stored(&self) -> Result<Vec<String>> {
        let top = format!("{}/", self.path("tree").display());
        let files = self.restic.files("latest")?;
        Ok(files
            .iter()
            .map(|path| path.trim_start_matches(&top).to_owned())
            .collect())
    }

    pub(crate) fn restore(&self, arguments: &[&str]) -> Result<command::Outcome> {
        let source = self.source();
        let restore = ["restore", "latest", "--source", &source];
        self.tthost.ok(&[&restore[..], arguments].concat())
    }

    /// Uses a configuration in which `tree` has these settings.
    pub(crate) fn configure(&self, settings: &str) -> Result<()> {
        let tree = self.path("tree");
        let text = format!(
            "[sources.tree]\nplugin = \"volume-source\"\nconfig = {{ {settings} }}\n\
             grants.trees.files.path = \"{}\"\n",
            tree.display()
        );
        Ok(fs::write(self.tthost.home().join("tthost.toml"), text)?)
    }

    pub(crate) fn back_up_configured(&self) -> Result<command::Outcome> {
        let run = ["run", "--source", "tree", "--sink", "restic-local"];
        self.tthost.ok(&run)
    }
}
