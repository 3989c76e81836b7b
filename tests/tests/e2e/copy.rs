//! Snapshots carried from one repository into another.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::files::write_private;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tree::{examine, expect_same, without_holes};
use tthost_tests::tthost::Tthost;

const PASSWORD: &str = "password";

/// Two repositories, which cut contents in different places, and a directory.
struct CopyFixture {
    directory: TempDir,
    tthost: Tthost,
    here: Restic,
    there: Restic,
}

impl CopyFixture {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-copy.").tempdir()?;
        let repository = |name: &str| Restic::at(directory.path().join(name), PASSWORD);
        let (here, there) = (repository("here")?, repository("there")?);
        here.init_copy()?;
        there.init_other_copy()?;
        let tthost = Tthost::new()?;
        write_private(&tthost.home().join("password"), PASSWORD)?;
        let sink = |name: &str| {
            format!(
                "[sinks.{name}]\nplugin = \"restic-sink\"\n\
                 grants.directories.repository = {{ path = \"{}\", access = \"read-write\" }}\n\
                 grants.secrets.password.file = \"password\"\n",
                directory.path().join(name).display()
            )
        };
        let configuration = sink("here") + &sink("there");
        fs::write(tthost.home().join("tthost.toml"), configuration)?;
        fs::create_dir(directory.path().join("tree"))?;
        Ok(Self {
            directory,
            tthost,
            here,
            there,
        })
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn back_up(&self, tag: &str) -> Result<()> {
        let source = format!("dir:{}", self.tree().display());
        let run = ["run", "--source", &source, "--sink", "here", "--tag", tag];
        self.tthost.ok(&run).map(drop)
    }
}

const COPY: [&str; 5] = ["copy", "--from", "here", "--to", "there"];

/// What a copy has to have in common with its snapshot.
fn essence(snapshot: &Value) -> Value {
    let keys = ["time", "hostname", "username", "tags", "paths"];
    keys.iter().map(|key| snapshot[key].clone()).collect()
}

fn restored(restic: &Restic, to: &Path, tree: &Path) -> Result<PathBuf> {
    restic.restore("latest", to)?;
    Ok(to.join(tree.strip_prefix("/")?))
}

#[test]
fn snapshots_are_copied_once_with_all_that_is_known_of_them() -> Result<()> {
    let fixture = CopyFixture::new()?;
    let tree = fixture.tree();
    fixture.back_up("first")?;
    odd_files::create(&tree)?;
    fixture.back_up("second")?;
    // One of restic's own, too.
    let mut backup = fixture.here.command(&["backup", "--tag", "third"]);
    tthost_tests::command::run(backup.arg(&tree))?.success()?;

    let outcome = fixture
        .tthost
        .ok(&[&COPY[..], &["--tag", "second"]].concat())?;
    ensure!(outcome.text()?.contains("copied to there as"));
    ensure!(fixture.there.snapshots()?.len() == 1);
    let report = fixture
        .tthost
        .ok(&[&COPY[..], &["--json"]].concat())?
        .json()?;
    ensure!(
        report["copied"].as_array().context("a list")?.len() == 2,
        "{report}"
    );
    ensure!(
        report["present"].as_array().context("a list")?.len() == 1,
        "{report}"
    );
    fixture.there.check()?;
    let essences = |restic: &Restic| -> Result<Vec<Value>> {
        Ok(restic.snapshots()?.iter().map(essence).collect())
    };
    ensure!(essences(&fixture.here)? == essences(&fixture.there)?);
    let found = restored(&fixture.there, &fixture.directory.path().join("to"), &tree)?;
    expect_same(
        &without_holes(examine(&tree)?),
        &without_holes(examine(&found)?),
    )?;

    let again = fixture.tthost.ok(&COPY)?;
    ensure!(again.text()?.contains("3 snapshots were in there already"));
    ensure!(fixture.there.snapshots()?.len() == 3);

    // What an earlier copy has is not read again.
    fs::write(tree.join("large"), "small by now")?;
    fixture.back_up("second")?;
    let latest = [&COPY[..], &["latest", "--json"]].concat();
    let report = fixture.tthost.ok(&latest)?.json()?;
    let receipt = &report["copied"][0]["summary"];
    ensure!(
        receipt["files_changed"] == 1 && receipt["files_new"] == 0,
        "{report}"
    );
    ensure!(receipt["data_added"].as_u64() < Some(64 << 10), "{report}");
    fixture.there.check()
}

#[test]
fn what_cannot_be_copied_is_said_and_the_rest_is_copied() -> Result<()> {
    let fixture = CopyFixture::new()?;
    fs::write(fixture.tree().join("file"), "the first contents")?;
    fixture.back_up("first")?;
    let packs = |restic: &Restic| tthost_tests::files::read_tree(&restic.repository().join("data"));
    let first = packs(&fixture.here)?;
    fs::write(fixture.tree().join("file"), "other contents")?;
    fixture.back_up("second")?;
    for path in first.keys() {
        fs::remove_file(fixture.here.repository().join("data").join(path))?;
    }
    let words = ["sink here"];
    let outcome = fixture.tthost.fails(&COPY, 3, &words)?;
    ensure!(
        outcome.text()?.contains("copied to there as"),
        "{}",
        outcome.describe()
    );
    let tags = fixture.there.snapshots()?;
    ensure!(
        tags.len() == 1 && tags[0]["tags"][1] == "second",
        "{tags:?}"
    );
    fixture.there.check()?;

    for (arguments, words) in [
        (
            &["copy", "--from", "here", "--to", "here"][..],
            &["from here to here"][..],
        ),
        (&["copy", "--from", "here", "--to", "far"], &["far"]),
        (
            &["copy", "--from", "here", "--to", "there", "feedbeef"],
            &["sink here", "no snapshot feedbeef"],
        ),
    ] {
        fixture.tthost.fails(arguments, 1, words)?;
    }
    ensure!(fixture.there.snapshots()?.len() == 1);
    Ok(())
}
