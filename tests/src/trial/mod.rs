//! Trials: an operation of the program goes wrong in whatever way, and nothing may be lost by that.
//!
//! Before it there is a repository of which everything is known. After it, and after the next command, the real restic has
//! to find the repository sound, every snapshot that is listed has to come back byte for byte, and nothing may be left that
//! was made for the time of the operation alone.

mod stock;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use tempfile::TempDir;

pub use stock::Stock;
pub use store::Store;

use crate::command::Outcome;
use crate::files::{read_tree, write_private};
use crate::restic::Restic;
use crate::tree::{Tree, examine, expect_same, without_holes};
use crate::tthost::Tthost;

/// The password of all repositories.
pub const PASSWORD: &str = "Schlüssel & key";

/// What the program is doing when something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The tree's fourth state becomes a snapshot.
    Backup,
    /// All snapshots but the latest are forgotten.
    Forget,
    /// The same, and what only they needed is removed.
    Prune,
    /// Snapshots of another repository are copied into this one.
    Copy,
    /// The latest snapshot is restored into a directory.
    Restore,
    /// The repository is made.
    Init,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Backup,
        Self::Forget,
        Self::Prune,
        Self::Copy,
        Self::Restore,
        Self::Init,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Forget => "forget",
            Self::Prune => "prune",
            Self::Copy => "copy",
            Self::Restore => "restore",
            Self::Init => "init",
        }
    }
}

/// One operation, and all that it works on.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The program, whose configuration names the repositories.
    pub tthost: Tthost,
    operation: Operation,
    stock: &'a Stock,
    store: Store<'a>,
    target: PathBuf,
    directory: TempDir,
}

impl<'a> Trial<'a> {
    /// An operation on a repository in this place, where nothing is yet. Without a place, it is in a directory of the trial's own.
    pub fn new(
        stock: &'a Stock,
        operation: Operation,
        store: impl Into<Option<Store<'a>>>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-trial.").tempdir()?;
        let inside = |name: &str| directory.path().join(name);
        let store = store
            .into()
            .unwrap_or_else(|| Store::Directory(inside("main")));
        if operation != Operation::Init {
            store.fill(&stock.repository())?;
        }
        let other = Store::Directory(inside("other"));
        other.fill(&stock.other())?;
        let tthost = Tthost::new()?;
        write_private(&tthost.home().join("password"), PASSWORD)?;
        let configuration = store.to_toml("main") + "\n" + &other.to_toml("other");
        fs::write(tthost.home().join("tthost.toml"), configuration)?;
        Ok(Self {
            tthost,
            operation,
            stock,
            store,
            target: inside("target"),
            directory,
        })
    }

    /// Where the operation restores to.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Has it restore to another place.
    pub fn restore_to(&mut self, target: PathBuf) {
        self.target = target;
    }

    /// The repository's directory, where it is in one.
    pub fn repository(&self) -> Option<&Path> {
        match &self.store {
            Store::Directory(path) => Some(path),
            Store::S3 { .. } => None,
        }
    }

    /// What the program keeps to itself.
    pub fn state(&self) -> PathBuf {
        self.tthost.home().join("state")
    }

    /// The arguments that have the program do it.
    pub fn arguments(&self) -> Vec<String> {
        let target = self.target.display().to_string();
        let source = self.stock.source();
        let arguments: &[&str] = match self.operation {
            Operation::Backup => &[
                "run", "--source", &source, "--sink", "main", "--tag", "state-4",
            ],
            Operation::Forget => &["forget", "--sink", "main", "--keep-last", "1"],
            Operation::Prune => &["prune", "--sink", "main", "--keep-last", "1"],
            Operation::Copy => &["copy", "--from", "other", "--to", "main"],
            Operation::Restore => &[
                "restore", "latest", "--sink", "main", "--to", &target, "--yes",
            ],
            Operation::Init => &["init", "--sink", "main"],
        };
        arguments.iter().map(|text| (*text).to_owned()).collect()
    }

    /// The program, about to do it.
    pub fn command(&self) -> Command {
        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.tthost.command(&arguments)
    }

    /// Does it, however that ends.
    pub fn run(&self) -> Result<Outcome> {
        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.tthost.run(&arguments)
    }

    /// Fails unless a command that says so has done all of it.
    pub fn expect_done(&self) -> Result<()> {
        let (restic, _copy) = self.store.restic()?;
        let tags = tags(&restic)?;
        let has = |tag: &str| tags.values().any(|found| found == tag);
        let is_done = match self.operation {
            Operation::Backup => has("state-4"),
            Operation::Forget | Operation::Prune => tags.len() == 1 && has("state-3"),
            Operation::Copy => has("state-4") && tags.len() == 5,
            Operation::Restore => {
                return self
                    .expect_restored("state-3", &self.target)
                    .context("what was restored");
            }
            Operation::Init => tags.is_empty(),
        };
        ensure!(is_done, "it was not done: there are {tags:?}");
        Ok(())
    }

    /// Fails unless everything is as it has to be after an operation that went wrong and the next command. That is the
    /// same one again or another one, as chance has it.
    pub fn expect_sound(&self, random: &mut Rng) -> Result<()> {
        let again = random.bool();
        let next = if again {
            self.arguments()
        } else {
            ["snapshots", "--sink", "main"].map(str::to_owned).to_vec()
        };
        let arguments: Vec<_> = next.iter().map(String::as_str).collect();
        let outcome = self.tthost.run(&arguments)?;
        let is_missing = self.operation == Operation::Init && outcome.status.code() == Some(10);
        if again || !is_missing {
            outcome.success().context("the next command")?;
        }
        if again {
            self.expect_done().context("after the next command")?;
        } else if self.operation == Operation::Copy {
            self.tthost.ok(&["snapshots", "--sink", "other"])?;
        }
        self.expect_nothing_left(again)?;
        if !again && self.operation == Operation::Init {
            self.run()?.success().context("making it once more")?;
        }
        let (restic, _copy) = self.store.restic()?;
        self.expect_repository(&restic, random)
    }

    /// The same where there may be no room for anything, not even for a lock.
    pub fn expect_sound_when_full(&self, random: &mut Rng) -> Result<()> {
        let outcome = self.tthost.run(&["snapshots", "--sink", "main"])?;
        self.expect_nothing_left(false)?;
        if self.operation == Operation::Init && outcome.status.code() == Some(10) {
            return Ok(());
        }
        outcome.success().context("the next command")?;
        let repository = self.repository().context("it is in a directory")?;
        let copy = self.directory.path().join("copy");
        Store::Directory(copy.clone()).fill(repository)?;
        self.expect_repository(&Restic::at(copy, PASSWORD)?, random)
    }

    /// Fails when something is there that the next command had to remove.
    fn expect_nothing_left(&self, again: bool) -> Result<()> {
        for name in self.store.names()? {
            ensure!(!name.starts_with("locks/"), "a lock is left: {name}");
            ensure!(
                !name.contains(".partial-"),
                "an incomplete file is left: {name}"
            );
        }
        let other = read_tree(&self.directory.path().join("other/locks"))?;
        ensure!(other.is_empty(), "a lock is left in the other repository");
        if self.target.exists() {
            let left = examine(&self.target)?.into_keys();
            for path in left {
                let name = path.display().to_string();
                ensure!(
                    !name.contains(".tthost-partial-"),
                    "an incomplete file is left: {name}"
                );
            }
        }
        // What belongs to a sink that was not opened stands there until it is.
        if again && self.state().exists() {
            let state = read_tree(&self.state())?.into_keys();
            for path in state {
                let is_journal = path.extension().is_some_and(|end| end == "journal");
                ensure!(!is_journal, "a journal is left: {}", path.display());
            }
        }
        Ok(())
    }

    /// Fails unless the real restic finds the repository sound, and every snapshot that is listed comes back byte for byte.
    fn expect_repository(&self, restic: &Restic, random: &mut Rng) -> Result<()> {
        restic.check().context("restic's check")?;
        let tags = tags(restic)?;
        let kept: &[&str] = match self.operation {
            Operation::Init => &[],
            Operation::Forget | Operation::Prune => &["state-3"],
            _ => &["state-1", "state-2", "state-3"],
        };
        for tag in kept {
            ensure!(
                tags.values().any(|found| found == tag),
                "{tag} is lost: there are {tags:?}"
            );
        }
        for (id, tag) in &tags {
            let restored = tempfile::tempdir_in(self.directory.path())?;
            if random.bool() {
                restic.restore(id, restored.path())?;
            } else {
                let to = restored.path().display().to_string();
                self.tthost
                    .ok(&["restore", id, "--sink", "main", "--to", &to])?;
            }
            self.expect_restored(tag, restored.path())
                .with_context(|| format!("the snapshot {id} of {tag}"))?;
        }
        Ok(())
    }

    fn expect_restored(&self, tag: &str, target: &Path) -> Result<()> {
        let restored = target.join(self.stock.tree().strip_prefix("/")?);
        let found: Tree = without_holes(examine(&restored)?);
        expect_same(self.stock.state(tag)?, &found)
    }
}

/// The tag of each snapshot that says which state of the tree it holds.
fn tags(restic: &Restic) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for snapshot in restic.snapshots()? {
        let tags = snapshot["tags"].as_array().into_iter().flatten();
        let mut tags = tags.filter_map(|tag| tag.as_str());
        let Some(tag) = tags.find(|tag| tag.starts_with("state-")) else {
            bail!("a snapshot of nothing that was backed up: {snapshot}");
        };
        let id = snapshot["id"]
            .as_str()
            .context("a snapshot without an id")?;
        found.insert(id.to_owned(), tag.to_owned());
    }
    Ok(found)
}
