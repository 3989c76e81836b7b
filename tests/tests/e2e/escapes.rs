//! A source that restores cannot leave the tree that it was granted, whatever it offers.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command::Outcome;
use tthost_tests::fixture::Fixture;
use tthost_tests::plugin;

/// A granted tree, something beside it, and a snapshot to restore.
struct EscapeFixture {
    fixture: Fixture,
    snapshot: String,
    granted: PathBuf,
    outside: PathBuf,
    component: PathBuf,
}

impl EscapeFixture {
    fn new() -> Result<Self> {
        let fixture = Fixture::new()?;
        let granted = fixture.directory().join("granted");
        let outside = fixture.directory().join("outside");
        for directory in [&granted, &outside] {
            fs::create_dir(directory)?;
            fs::write(directory.join("kept"), "as it was")?;
        }
        fixture.restic.backup_stdin("file", b"contents")?;
        fixture.restic.tag_latest("escaping")?;
        let snapshots = fixture.restic.snapshots()?;
        let snapshot = snapshots[0]["id"].as_str().context("it has an id")?;
        Ok(Self {
            snapshot: snapshot.to_owned(),
            granted,
            outside,
            component: plugin::component("escaping-source")?,
            fixture,
        })
    }

    /// A restoration by a source that offers these entries, in words of TOML.
    fn restore(&mut self, config: &str, flags: &[&str]) -> Result<Outcome> {
        let configuration = self.fixture.configuration(&[])?;
        self.fixture.configure(&configuration)?;
        let text = format!(
            "{}\n[sources.escaping]\nplugin = {{ path = '{}' }}\n\
             grants.trees.files = {{ path = '{}' }}\nconfig = {{ {config} }}\n",
            configuration.to_toml(),
            self.component.display(),
            self.granted.display(),
        );
        fs::write(self.fixture.tthost.home().join("tthost.toml"), text)?;
        let restore = ["restore", &self.snapshot, "--source", "escaping"];
        self.fixture.tthost.run(&[&restore, flags].concat())
    }

    /// Fails unless these entries are refused with these words, and nothing outside of the tree is
    /// touched.
    fn expect_refusal(&mut self, config: &str, flags: &[&str], words: &[&str]) -> Result<()> {
        self.restore(config, flags)?.expect_failure(1, words)?;
        ensure!(fs::read(self.outside.join("kept"))? == b"as it was");
        ensure!(
            fs::read_dir(&self.outside)?.count() == 1,
            "{config} {flags:?}"
        );
        ensure!(
            !self.fixture.directory().join("escaped").exists(),
            "{config} {flags:?}"
        );
        Ok(())
    }
}

#[test]
fn a_source_that_restores_cannot_leave_the_tree_that_it_was_granted() -> Result<()> {
    let mut escape = EscapeFixture::new()?;
    let absolute = escape.outside.join("kept").display().to_string();
    let names = [
        "../outside/kept",
        "../escaped",
        "..",
        "",
        "a/b",
        &absolute,
        "a\\u0000b",
    ];
    let flags: [&[&str]; 3] = [&["--yes", "--delete"], &["--yes"], &["--dry-run"]];
    for (name, (kind, flags)) in names.into_iter().zip(
        ["file", "directory", "target"]
            .into_iter()
            .zip(flags)
            .cycle(),
    ) {
        let entry = format!("{{ id = 1, parent = 0, name = \"{name}\", kind = '{kind}' }}");
        let config = format!("entries = [{entry}]");
        escape.expect_refusal(&config, flags, &["source escaping", "name"])?;
    }
    Ok(())
}

#[test]
fn entries_that_are_no_tree_are_refused_where_they_are_restored_too() -> Result<()> {
    let mut escape = EscapeFixture::new()?;
    for (entries, why) in [
        (&[(2, 0, "a")][..], "comes after"),
        (&[(1, 0, "b"), (2, 0, "a")], "out of order"),
        (&[(1, 0, "a"), (2, 0, "a")], "out of order"),
        (&[(1, 7, "a")], "not an open directory"),
    ] {
        let entries: Vec<_> = entries
            .iter()
            .map(|(id, parent, name)| {
                format!("{{ id = {id}, parent = {parent}, name = '{name}', kind = 'file' }}")
            })
            .collect();
        let config = format!("entries = [{}]", entries.join(", "));
        escape.expect_refusal(&config, &["--yes"], &["source escaping", why])?;
    }
    Ok(())
}

#[test]
fn metadata_that_nothing_can_have_are_refused() -> Result<()> {
    let mut escape = EscapeFixture::new()?;
    let entry = "{ id = 1, parent = 0, name = 'a', kind = 'file', mode = 0o104755 }";
    let words = ["source escaping", "mode"];
    escape.expect_refusal(&format!("entries = [{entry}]"), &["--yes"], &words)?;
    escape.expect_refusal("entries = [], root-mode = 0o40755", &["--yes"], &words)
}

#[test]
fn restorations_without_end_are_not_begun() -> Result<()> {
    let mut escape = EscapeFixture::new()?;
    let words = ["source escaping", "1024 restorations were begun"];
    escape.expect_refusal("entries = [], more = 2000", &["--yes"], &words)
}

#[test]
fn what_is_a_tree_is_restored_into_the_granted_directory() -> Result<()> {
    let mut escape = EscapeFixture::new()?;
    let link = "{ id = 1, parent = 0, name = 'link', kind = '../outside' }";
    let file = "{ id = 2, parent = 0, name = 'new', kind = 'file' }";
    let config = format!("entries = [{link}, {file}]");
    escape.restore(&config, &["--yes"])?.success()?;
    ensure!(fs::read(escape.granted.join("new"))? == b"escaped");
    // A link may lead anywhere, and is not followed: something in it is in no directory.
    let through = "{ id = 2, parent = 1, name = 'kept', kind = 'file' }";
    let config = format!("entries = [{link}, {through}]");
    escape.expect_refusal(
        &config,
        &["--yes"],
        &["source escaping", "not an open directory"],
    )?;
    // A directory takes the place of the link, or is refused.
    let directory = "{ id = 1, parent = 0, name = 'link', kind = 'directory' }";
    let config = format!("entries = [{directory}, {through}]");
    escape
        .restore(&config, &["--yes"])?
        .expect_failure(3, &["link"])?;
    escape.restore(&config, &["--yes", "--delete"])?.success()?;
    ensure!(fs::read(escape.outside.join("kept"))? == b"as it was");
    Ok(())
}
