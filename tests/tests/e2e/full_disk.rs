//! Freeing space where there is none left.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Result, ensure};
use tthost_tests::command;
use tthost_tests::faulty_disk::{self, Call, Fate, Kind};
use tthost_tests::restic::Restic;
use tthost_tests::tmpfs::Tmpfs;

use crate::tree_fixture::{PASSWORD, TreeFixture};

/// A repository on a small file system. Each of the files is in a snapshot, alone or with all before it.
fn stock(tmpfs: &Tmpfs, files: &[&str], together: bool) -> Result<(TreeFixture, Restic)> {
    let mut fixture = TreeFixture::new()?;
    let restic = Restic::at(tmpfs.path().join("repository"), PASSWORD)?;
    restic.init()?;
    fixture
        .tthost
        .set([("RESTIC_REPOSITORY", restic.repository())]);
    for name in files {
        let file = File::create(fixture.path("tree").join(name))?;
        std::io::copy(
            &mut std::io::Read::take(File::open("/dev/urandom")?, 700_000),
            &mut &file,
        )?;
        if !together {
            fixture.back_up(&[])?;
            fs::remove_file(fixture.path("tree").join(name))?;
        }
    }
    if together {
        fixture.back_up(&[])?;
    }
    Ok((fixture, restic))
}

/// Leaves no room for a single byte.
fn fill(directory: &Path) -> Result<()> {
    let mut file = File::create(directory.join("filler"))?;
    for size in [1 << 16, 1] {
        loop {
            match file.write_all(&vec![0; size]) {
                Err(cause) if cause.kind() == ErrorKind::StorageFull => break,
                written => written?,
            }
        }
    }
    Ok(())
}

#[test]
fn a_prune_frees_a_disk_on_which_nothing_can_be_written() -> Result<()> {
    let tmpfs = Tmpfs::mount(8 << 20)?;
    let (fixture, restic) = stock(&tmpfs, &["a", "b", "c"], false)?;
    fs::write(fixture.path("tree/kept"), "kept")?;
    fixture.back_up(&[])?;
    fill(tmpfs.path())?;
    let run = [
        "run",
        "--source",
        &fixture.source(),
        "--sink",
        "restic-local",
    ];
    fixture.tthost.fails(&run, 1, &["no space"])?;
    fixture.tthost.ok(&["prune", "--keep-last", "1"])?;
    fixture.tthost.ok(&run)?;
    fs::remove_file(tmpfs.path().join("filler"))?;
    ensure!(restic.snapshots()?.len() == 2);
    restic.check()?;
    let kept = fixture.path("tree/kept").display().to_string();
    ensure!(restic.dump("latest", &kept)? == b"kept");
    Ok(())
}

#[test]
fn a_quota_that_is_used_up_is_no_broken_disk() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for contents in ["first", "second"] {
        fixture.write("a", contents)?;
        fixture.back_up(&[])?;
    }
    let locks = fixture.path("repository").join("locks");
    let mut prune = fixture.tthost.command(&["prune", "--keep-last", "1"]);
    let pruned = faulty_disk::run(&mut prune, &locks, |call: &Call| match call.kind {
        Kind::Write => Fate::Fail(libc::EDQUOT),
        _ => Fate::Pass,
    })?;
    let pruned = pruned.success()?;
    let told = &pruned.stderr;
    ensure!(told.contains("the quota is used up"), "{told}");
    ensure!(fixture.restic.snapshots()?.len() == 1);
    fixture.restic.check()
}

#[test]
fn what_may_not_reach_the_disk_is_not_left_as_a_snapshot() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    let snapshots = fixture.path("repository").join("snapshots");
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let mut run = fixture.tthost.command(&run);
    // Its name is there, and its directory cannot be brought to the disk.
    let failed = faulty_disk::run(&mut run, &snapshots, |call: &Call| match call.kind {
        Kind::Sync if call.path == snapshots => Fate::Fail(libc::EIO),
        _ => Fate::Pass,
    })?;
    failed.expect_failure(1, &["snapshots/", "input/output error"])?;
    ensure!(fixture.restic.snapshots()?.is_empty());
    Ok(())
}

#[test]
fn a_prune_that_has_to_write_first_frees_the_rest_when_there_is_room() -> Result<()> {
    let tmpfs = Tmpfs::mount(8 << 20)?;
    let (fixture, restic) = stock(&tmpfs, &["a", "b", "c"], true)?;
    fs::remove_file(fixture.path("tree/a"))?;
    fixture.back_up(&[])?;
    fill(tmpfs.path())?;
    let prune = ["prune", "--keep-last", "1"];
    // What is left of the one pack cannot be stored anew.
    let outcome = fixture.tthost.ok(&prune)?;
    ensure!(
        outcome.stderr.contains("Prune once more"),
        "{}",
        outcome.describe()
    );
    let mut check = restic.command(&["--no-lock", "check", "--read-data"]);
    command::run(&mut check)?.success()?;
    fs::remove_file(tmpfs.path().join("filler"))?;
    let outcome = fixture.tthost.ok(&prune)?;
    ensure!(
        outcome.text()?.contains("KiB freed"),
        "{}",
        outcome.describe()
    );
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 1);
    Ok(())
}
