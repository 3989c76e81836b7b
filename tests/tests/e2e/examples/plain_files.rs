//! Snapshots as plain files, which a person reads without us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::command;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::plugin::example;
use tthost_tests::tthost::Tthost;

use crate::conformance::expect_passed;

/// A tree, and the sink `plain`.
struct Plain {
    fixture: OffsiteFixture,
    store: PathBuf,
}

impl Plain {
    fn new() -> Result<Self> {
        let fixture = OffsiteFixture::new(&[])?;
        let store = fixture.aside("plain");
        fs::create_dir(&store)?;
        let configuration = format!(
            "[sinks.plain]\nplugin = {{ path = '{}' }}\n\
             grants.directories.store = {{ path = '{}', access = \"read-write\" }}\n",
            example("plain-files-sink")?.display(),
            store.display(),
        );
        fs::write(fixture.tthost.home().join("tthost.toml"), configuration)?;
        Ok(Self { fixture, store })
    }

    /// Backs the tree up, and answers the directory of the snapshot.
    fn back_up(&self) -> Result<PathBuf> {
        let summary = self.fixture.back_up("plain")?;
        let id = summary["snapshot_id"].as_str().context("it has an id")?;
        Ok(self.store.join("snapshots").join(id))
    }

    /// What is in a directory of the store.
    fn list(&self, directory: &str) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.store.join(directory))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }

    /// Where a snapshot has a file of the tree.
    fn file(&self, snapshot: &Path, name: &str) -> Result<PathBuf> {
        let tree = self.fixture.tree();
        let files = snapshot.join("files");
        Ok(files.join(tree.strip_prefix("/")?).join(name))
    }
}

#[test]
fn snapshots_are_files_that_a_person_reads_and_tthost_restores() -> Result<()> {
    let plain = Plain::new()?;
    let (fixture, tthost) = (&plain.fixture, &plain.fixture.tthost);
    fixture.run("plain")?.expect_failure(10, &["tthost init"])?;
    tthost.ok(&["init", "--sink", "plain"])?;
    fixture.write("odd\nname \u{fc} 50%", b"odd\n")?;
    let first = plain.back_up()?;
    fixture.write("readme", b"another text\n")?;
    let second = plain.back_up()?;

    // Without us.
    for (snapshot, text) in [
        (&first, "what is worth keeping\n"),
        (&second, "another text\n"),
    ] {
        let readme = plain.file(snapshot, "readme")?;
        ensure!(fs::read_to_string(readme)? == text);
        let odd = plain.file(snapshot, "odd%0Aname \u{fc} 50%25")?;
        ensure!(fs::read_to_string(odd)? == "odd\n");
        let mut sums = Command::new("sha256sum");
        sums.args(["--check", "--strict", "SHA256SUMS"]);
        command::run(sums.current_dir(snapshot))?.success()?;
    }

    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    tthost.ok(&["restore", "latest", "--sink", "plain", "--to", &to])?;
    fixture.expect_restored(&target)?;
    tthost.ok(&["prune", "--sink", "plain", "--keep-last", "1"])?;
    ensure!(plain.list("snapshots")? == std::slice::from_ref(&second));
    ensure!(plain.list("forgotten")?.is_empty());
    ensure!(plain.list("partial")?.is_empty());
    tthost.ok(&["check", "--sink", "plain", "--read-data"])?;

    // What somebody changes is found, and is never restored for what was stored.
    fs::write(plain.file(&second, "readme")?, b"Another text\n")?;
    tthost.ok(&["check", "--sink", "plain"])?;
    let check = ["check", "--sink", "plain", "--read-data"];
    let found = tthost.fails(&check, 1, &["readme is damaged"])?;
    ensure!(
        !found.describe().contains("Error::"),
        "{}",
        found.describe()
    );
    let again = fixture.aside("again");
    let to = again.to_string_lossy();
    let restore = ["restore", "latest", "--sink", "plain", "--to", &to];
    tthost.fails(&restore, 3, &["readme is damaged", "left out"])?;
    Ok(())
}

/// Checks that wait seconds for the disk. The suite is the same for the reference, which passes all.
const SLOW: [&str; 6] = [
    "a-deep-tree-comes-back",
    "a-wide-directory-comes-back",
    "dry-run-counts-the-same",
    "many-entries-come-back",
    "memory-does-not-grow-with-a-file",
    "offers-are-answered-in-order",
];

#[test]
fn the_sink_of_plain_files_keeps_the_contract() -> Result<()> {
    let tthost = Tthost::new()?;
    let component = example("plain-files-sink")?;
    let listed = tthost.ok(&["plugin", "test", "--list", "--json"])?.json()?;
    let checks = listed["rules"].as_array().context("it has checks")?;
    let is_meant = |check: &&Value| {
        let roles = check["roles"].as_array();
        let is_of_sinks = roles.is_some_and(|roles| roles.iter().any(|role| role == "sink"));
        is_of_sinks && !SLOW.iter().any(|slow| check["name"] == **slow)
    };
    let meant = checks.iter().filter(is_meant);
    let meant = meant.filter_map(|check| check["name"].as_str());
    let meant = meant.flat_map(|name| ["--check", name]);
    let file = component.to_str().context("it is a text")?;
    let plugin: Vec<_> = [file].into_iter().chain(meant).collect();
    // It has no locks and no secrets, takes one file at a time, and gives directories no names.
    let skipped = [
        "locks-can-be-removed",
        "several-contents-at-once-keep-apart",
        "equal-directories-have-equal-names",
        "no-secret-is-said",
        "no-secret-is-stored",
    ];
    expect_passed(&tthost, &plugin, &skipped)
}
