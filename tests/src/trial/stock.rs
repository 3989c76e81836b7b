//! What every trial begins with: a tree that has been through several states, and repositories that hold some of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use tempfile::TempDir;

use super::PASSWORD;
use crate::files::write_private;
use crate::restic::Restic;
use crate::tree::{Tree, examine, without_holes};
use crate::tthost::Tthost;

/// Bytes of each file that does not compress.
const NOISE: usize = 512 << 10;

/// What a trial begins with. Nothing of it changes any more.
#[derive(Debug)]
pub struct Stock {
    directory: TempDir,
    /// Each state of the tree by the tag of its snapshots.
    states: BTreeMap<String, Tree>,
}

impl Stock {
    /// A tree in its fourth state, a repository with the first three, and another one with the second and the fourth.
    pub fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-stock.").tempdir()?;
        let mut stock = Self {
            directory,
            states: BTreeMap::new(),
        };
        Restic::at(stock.repository(), PASSWORD)?.init_copy()?;
        Restic::at(stock.other(), PASSWORD)?.init_other_copy()?;
        let tthost = Tthost::new()?;
        write_private(&tthost.home().join("password"), PASSWORD)?;
        let configuration =
            local_sink("main", &stock.repository()) + &local_sink("other", &stock.other());
        fs::write(tthost.home().join("tthost.toml"), configuration)?;
        let source = stock.source();
        for (number, sinks) in [
            (1, &["main"][..]),
            (2, &["main", "other"]),
            (3, &["main"]),
            (4, &["other"]),
        ] {
            bring_to_state(&stock.tree(), number)?;
            let tag = tag(number);
            for sink in sinks {
                tthost.ok(&["run", "--source", &source, "--sink", sink, "--tag", &tag])?;
            }
            let state = without_holes(examine(&stock.tree())?);
            stock.states.insert(tag, state);
        }
        Ok(stock)
    }

    /// What is backed up.
    pub fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    /// The same, as a source.
    pub fn source(&self) -> String {
        format!("dir:{}", self.tree().display())
    }

    /// The repository with the first three states.
    pub fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    /// The repository that is copied from.
    pub fn other(&self) -> PathBuf {
        self.directory.path().join("other")
    }

    /// A state of the tree by the tag of its snapshots.
    pub fn state(&self, tag: &str) -> Result<&Tree> {
        let state = self.states.get(tag);
        state.with_context(|| format!("no state has the tag {tag}"))
    }
}

/// The tag of the snapshots of a state.
pub fn tag(number: u64) -> String {
    format!("state-{number}")
}

/// A sink in a directory, as a configuration has it.
pub(super) fn local_sink(name: &str, repository: &Path) -> String {
    format!(
        "[sinks.{name}]\nplugin = \"restic-sink\"\n\
         grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n\
         grants.secrets.password.file = \"password\"\n",
        repository.display()
    )
}

/// Changes the tree so that some of it is new, some is gone, and most has stayed.
fn bring_to_state(tree: &Path, number: u64) -> Result<()> {
    for file in 0..48 {
        let directory = tree.join(format!("small/{}", file % 5));
        fs::create_dir_all(&directory)?;
        let state = if file % 4 == 0 { number } else { 0 };
        let text = format!("the file {file} in the state {state}\n").repeat(20);
        fs::write(directory.join(file.to_string()), text)?;
    }
    for kept in [number - 1, number] {
        let mut noise = vec![0; NOISE];
        Rng::with_seed(kept).fill(&mut noise);
        fs::write(tree.join(format!("noise-{kept}")), noise)?;
    }
    if number == 1 {
        symlink("small/0/0", tree.join("link"))?;
        fs::hard_link(tree.join("small/1/1"), tree.join("linked"))?;
        fs::create_dir(tree.join("empty"))?;
    } else {
        fs::remove_file(tree.join(format!("noise-{}", number - 2)))?;
    }
    Ok(())
}
