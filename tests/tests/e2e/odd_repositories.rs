//! Repositories with things in them that no program has put there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tthost_tests::files::read_tree;
use tthost_tests::forge::Forge;

use crate::tree_fixture::{PASSWORD, TreeFixture};

/// A repository with a snapshot.
fn stock() -> Result<TreeFixture> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    Ok(fixture)
}

fn pipe(path: &Path) -> Result<()> {
    Ok(mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

#[test]
fn strange_names_in_a_repository_keep_nobody_from_the_rest() -> Result<()> {
    let fixture = stock()?;
    let repository = fixture.path("repository");
    for directory in ["", "keys", "locks", "index", "snapshots", "data", "data/00"] {
        let directory = repository.join(directory);
        fs::write(directory.join(OsStr::from_bytes(b"caf\xe9")), "no text")?;
        fs::write(directory.join("lost+found"), "")?;
    }
    fixture.back_up(&[])?;
    let tthost = &fixture.tthost;
    ensure!(tthost.ok(&["snapshots"])?.text()?.contains("2 snapshots"));
    tthost.ok(&["check", "--read-data"])?;
    tthost.ok(&["prune", "--keep-last", "1"])?;
    Ok(())
}

#[test]
fn what_is_no_file_is_named_and_waited_for_by_nobody() -> Result<()> {
    let fixture = stock()?;
    let repository = fixture.path("repository");
    let tthost = &fixture.tthost;
    let id = "5".repeat(64);
    for directory in ["snapshots", "index"] {
        let path = repository.join(directory).join(&id);
        pipe(&path)?;
        tthost.fails(&["check"], 1, &["55555555", "a pipe"])?;
        fs::remove_file(&path)?;
    }
    fs::create_dir(repository.join("snapshots").join(&id))?;
    let listed = tthost.run(&["snapshots"])?;
    ensure!(
        listed.stderr.contains("a directory"),
        "{}",
        listed.describe()
    );
    fs::remove_dir(repository.join("snapshots").join(&id))?;

    let packs = read_tree(&repository.join("data"))?;
    let pack = packs.keys().next().context("there is a pack")?;
    let pack = repository.join("data").join(pack);
    fs::remove_file(&pack)?;
    pipe(&pack)?;
    tthost.fails(&["check"], 1, &["missing"])?;
    for name in ["snapshots", "config"] {
        let path = repository.join(name);
        fs::rename(&path, repository.join("aside"))?;
        pipe(&path)?;
        tthost.fails(&["snapshots"], 1, &[name, "a pipe"])?;
        fs::remove_file(&path)?;
        fs::rename(repository.join("aside"), &path)?;
    }
    Ok(())
}

#[test]
fn an_index_that_no_memory_holds_is_damage_and_the_rest_goes_on() -> Result<()> {
    let fixture = stock()?;
    let forge = Forge::of(&fixture.path("repository"), PASSWORD)?;
    let blank = vec![b' '; 300 << 20];
    let index = [b"{\"packs\":[", &blank[..], b"]}"].concat();
    let name = forge.file("index", &index)?;
    fixture.tthost.fails(&["check"], 1, &[&name[..8]])?;
    fixture.tthost.ok(&["snapshots"])?;
    fixture.back_up(&[])?;
    let to = fixture.path("target").display().to_string();
    fixture.tthost.ok(&["restore", "latest", "--to", &to])?;
    Ok(())
}

#[test]
fn files_of_the_state_that_are_no_files_hold_nobody_up() -> Result<()> {
    let fixture = stock()?;
    let state = fixture.tthost.home().join("state");
    let history = state.join("history.sqlite");
    let run = [
        "run",
        "--source",
        &fixture.source(),
        "--sink",
        "restic-local",
    ];
    fs::remove_file(&history)?;
    pipe(&history)?;
    let outcome = fixture.tthost.ok(&run)?;
    let named = history.display().to_string();
    ensure!(outcome.stderr.contains(&named), "{}", outcome.describe());
    fixture.tthost.fails(&["history"], 1, &[&named, "a pipe"])?;
    fs::remove_file(&history)?;
    for name in ["undo/1-abc.journal", "undo/turn", "running/1"] {
        let path = state.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let _ = fs::remove_file(&path);
        pipe(&path)?;
        let outcome = fixture.tthost.run(&run)?;
        let is_told = outcome.status.success() || outcome.stderr.contains(name);
        ensure!(is_told, "{}", outcome.describe());
        fs::remove_file(&path)?;
    }
    for option in ["--config", "--env-file"] {
        let path = fixture.path("pipe");
        pipe(&path)?;
        let path = path.display().to_string();
        fixture
            .tthost
            .fails(&["snapshots", option, &path], 1, &[&path])?;
        fs::remove_file(&path)?;
    }
    Ok(())
}
