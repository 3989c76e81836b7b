//! Repositories with things in them that no program has put there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tthost_tests::faulty_disk::{self, Call, Fate, Kind};
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
    tthost.fails(&["forget", &id], 1, &["is a directory", "by hand"])?;
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
fn a_bad_sector_costs_what_lies_there_and_nothing_else() -> Result<()> {
    let fixture = TreeFixture::new()?;
    // Contents that are read as streams, and in a pack of their own.
    let noise = |seed| -> String {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..1 << 20).map(|_| random.alphanumeric()).collect()
    };
    fixture.write("first", &noise(1))?;
    fixture.back_up(&[])?;
    let of_first: Vec<_> = packs(&fixture)?.into_iter().collect();
    fixture.write("second", &noise(2))?;
    fixture.back_up(&[])?;
    let largest = of_first.iter().max_by_key(|path| length(path));
    let pack = largest.context("there is a pack")?;
    let on_bad_disk = |lost: &Path, arguments: &[&str]| {
        let mut command = fixture.tthost.command(arguments);
        faulty_disk::run(
            &mut command,
            &fixture.path("repository"),
            |call: &Call| match call.kind {
                Kind::Read if call.path == lost => Fate::Fail(libc::EIO),
                _ => Fate::Pass,
            },
        )
    };
    let check = on_bad_disk(pack, &["check", "--read-data"])?;
    check.expect_failure(1, &["input/output error", "first"])?;
    let to = fixture.path("restored");
    let to = to.to_str().context("it is text")?;
    let restored = on_bad_disk(pack, &["restore", "latest", "--to", to])?;
    restored.expect_failure(3, &["first", "input/output error", "left out"])?;
    let found = read_tree(Path::new(to))?;
    let has = |name: &str| found.keys().any(|path| path.ends_with(name));
    ensure!(has("second") && !has("first"), "{:?}", found.keys());

    for directory in ["snapshots", "index"] {
        let path = fixture.path("repository").join(directory);
        let mut files = fs::read_dir(path)?;
        let lost = files.next().context("there is one")??.path();
        let pruned = on_bad_disk(&lost, &["prune", "--keep-last", "1"])?;
        pruned.expect_failure(1, &["input/output error", "nothing was"])?;
        let check = on_bad_disk(&lost, &["check"])?;
        check.expect_failure(1, &["input/output error"])?;
        let source = fixture.source();
        let run = ["run", "--source", &source, "--sink", "restic-local"];
        let stored = on_bad_disk(&lost, &run)?;
        ensure!(stored.status.success(), "{}", stored.describe());
    }
    Ok(())
}

#[test]
fn a_directory_that_is_a_link_to_elsewhere_is_named_with_what_to_do() -> Result<()> {
    let fixture = stock()?;
    let data = fixture.path("repository").join("data");
    fs::rename(&data, fixture.path("elsewhere"))?;
    std::os::unix::fs::symlink(fixture.path("elsewhere"), &data)?;
    let words = ["data is a symbolic link", "mount --bind"];
    fixture.tthost.fails(&["check"], 1, &words)?;
    let to = fixture.path("restored");
    let to = to.to_str().context("it is text")?;
    let restore = ["restore", "latest", "--to", to];
    fixture.tthost.fails(&restore, 1, &words)?;
    Ok(())
}

/// The packs of the repository.
fn packs(fixture: &TreeFixture) -> Result<Vec<PathBuf>> {
    let data = fixture.path("repository").join("data");
    let packs = read_tree(&data)?.into_keys();
    let packs = packs.map(|pack| data.join(pack));
    Ok(packs.filter(|path| path.is_file()).collect())
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
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
