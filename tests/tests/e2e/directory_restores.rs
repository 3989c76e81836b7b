//! Restoring directories: what is replaced, removed and left alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tthost_tests::command;
use tthost_tests::files::read_tree;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::tree::{examine, expect_same};
use tthost_tests::wait::wait_until;

use crate::tree_fixture::{PASSWORD, TreeFixture};

#[test]
fn a_restore_goes_on_without_what_cannot_be_written_and_names_it() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for name in ["a", "b", "d/e", "f"] {
        fixture.write(name, name)?;
    }
    fixture.back_up(&[])?;
    let target = fixture.path("target");
    fs::create_dir_all(target.join("a"))?;
    fs::write(target.join("d"), "a file where a directory belongs")?;
    let folder = format!("latest:{}", fixture.path("tree").display());
    let to = target.display().to_string();
    let restore = ["restore", &folder, "--to", &to, "--yes"];
    let (a, d) = (format!("{to}/a cannot"), format!("{to}/d cannot"));
    fixture.tthost.fails(&restore, 3, &[&a, &d])?;
    for name in ["b", "f"] {
        ensure!(fs::read_to_string(target.join(name))? == name);
    }
    let report = fixture.tthost.run(&[&restore[..], &["--json"]].concat())?;
    let report: serde_json::Value = serde_json::from_slice(&report.stdout)?;
    ensure!(
        report["files_failed"] == 3 && report["complete"] == false,
        "{report}"
    );
    fixture
        .tthost
        .ok(&[&restore[..], &["--delete", "-q"]].concat())?;
    ensure!(fs::read_to_string(target.join("d/e"))? == "d/e");
    Ok(())
}

#[test]
fn a_place_where_no_directory_can_be_is_named_with_what_is_there() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    fixture.write("file", "file")?;
    fs::create_dir(fixture.path("real"))?;
    for (target, link) in [("nowhere", "dangling"), ("real", "leading")] {
        symlink(target, fixture.path(link))?;
    }
    let folder = format!("latest:{}", fixture.path("tree").display());
    let place = |name: &str| fixture.path(name).display().to_string();
    let dangling = format!("{} is a symbolic link to nowhere", place("dangling"));
    let file = format!("{} is not a directory", place("tree/file"));
    for (to, says) in [
        (place("dangling"), &dangling),
        (place("dangling/below"), &dangling),
        (place("tree/file"), &file),
        (place("tree/file/below"), &file),
    ] {
        for mode in ["--yes", "--dry-run"] {
            let restore = ["restore", &folder, "--to", &to, mode];
            fixture.tthost.fails(&restore, 1, &[says.as_str()])?;
        }
    }
    let leading = place("leading");
    fixture
        .tthost
        .ok(&["restore", &folder, "--to", &leading, "--yes"])?;
    ensure!(fs::read_to_string(fixture.path("real/a"))? == "a");
    Ok(())
}

#[test]
fn deleting_spares_the_system_and_what_is_restored_from() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.write("data/b", "b")?;
    fixture.back_up(&[])?;
    let around = fixture.directory.path().display().to_string();
    for (to, words) in [
        (around.as_str(), ["/repository", "--delete would remove"]),
        ("/", ["everything", "--delete-from-system"]),
        ("/usr", ["everything", "--delete-from-system"]),
    ] {
        let restore = ["restore", "latest", "--to", to, "--delete", "--yes"];
        fixture.tthost.fails(&restore, 1, &words)?;
    }
    let system = fixture.path("system");
    for name in ["bin", "data", "etc", "usr"] {
        fs::create_dir_all(system.join(name))?;
    }
    let folder = format!("latest:{}", fixture.path("tree").display());
    let to = system.display().to_string();
    let restore = ["restore", &folder, "--to", &to, "--delete", "--yes"];
    fixture.tthost.fails(&restore, 1, &["everything"])?;
    ensure!(system.join("etc").exists());
    // What is mounted there is somebody else's, whether or not the snapshot has something in its place.
    let restore = [&restore[..], &["--delete-from-system"]].concat();
    let [usr, data] = ["usr", "data"].map(|name| system.join(name).display().to_string());
    let script = format!(
        r#"unshare --mount --map-root-user sh -c '
        mount -t tmpfs tmpfs {usr} && mount -t tmpfs tmpfs {data} && touch {usr}/theirs {data}/others && "$@"
        code=$?; ls {usr} {data}; exit $code' sh "$@""#
    );
    let words = [
        "usr cannot be removed",
        "another file system",
        "theirs",
        "others",
    ];
    fixture
        .tthost
        .in_shell(&script, &restore)?
        .expect_failure(3, &words)?;
    ensure!(!system.join("etc").exists());
    ensure!(fs::read_to_string(system.join("a"))? == "a");
    ensure!(fixture.path("repository/config").exists());
    Ok(())
}

#[test]
fn what_a_killed_restore_left_incomplete_goes_with_the_next_command() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("deep/er/small", "contents")?;
    fs::File::create(fixture.path("tree/deep/er/large"))?.set_len(3 << 30)?;
    fixture.tthost.ok(&[
        "run",
        "--source",
        &fixture.source(),
        "--sink",
        "restic-local",
    ])?;
    let target = fixture.path("target");
    fs::create_dir(&target)?;
    fs::write(target.join(".tthost-partial-mine"), "not tthost's")?;
    let to = target.display().to_string();
    let mut restore = fixture
        .tthost
        .command(&["restore", "latest", "--to", &to, "--yes"])
        .spawn()?;
    let count = |name: &str| -> Result<usize> {
        let mut find = Command::new("find");
        find.arg(&target).args(["-name", name]);
        Ok(command::run(&mut find)?.text()?.lines().count())
    };
    let partial = || count(".tthost-partial-*");
    // The small one may be incomplete for a moment, too.
    wait_until("the large file is being written", || {
        count("small").is_ok_and(|small| small == 1) && partial().is_ok_and(|partial| partial == 2)
    })?;
    restore.kill()?;
    restore.wait()?;
    assert_eq!(partial()?, 2);
    fixture.tthost.ok(&["snapshots"])?;
    assert_eq!(partial()?, 1, "only what was nobody's is removed");
    Ok(())
}

#[test]
fn a_restoration_replaces_what_differs_and_removes_what_is_not_in_the_snapshot() -> Result<()> {
    let fixture = TreeFixture::new()?;
    odd_files::create(&fixture.path("tree"))?;
    let copy = fixture.path("copy");
    let mut cp = Command::new("cp");
    command::run(cp.arg("-a").arg(fixture.path("tree")).arg(&copy))?.success()?;
    fixture.back_up(&[])?;
    let tree = fixture.path("tree");
    let outside = fixture.path("outside");
    fs::create_dir(&outside)?;
    fs::write(outside.join("precious"), "not to be touched")?;
    fs::write(tree.join("plain"), "changed")?;
    fs::remove_file(tree.join("pipe"))?;
    fs::remove_dir_all(tree.join("empty"))?;
    symlink(&outside, tree.join("empty"))?;
    fs::create_dir_all(tree.join("extra/deep"))?;
    symlink(&outside, tree.join("extra/link"))?;
    fs::remove_file(tree.join("linked"))?;
    fs::create_dir(tree.join("linked"))?;

    let planned = fixture.restore(&["--delete", "--dry-run"])?;
    let planned = planned.text()?;
    for change in ["replace", "create", "remove"] {
        let path = match change {
            "replace" => "plain",
            "create" => "pipe",
            _ => "extra",
        };
        let line = format!("{change} {}", tree.join(path).display());
        ensure!(planned.contains(&line), "{line} in: {planned}");
    }
    ensure!(tree.join("extra").exists(), "a dry run changed something");

    fixture.restore(&["--delete", "--yes", "--verify"])?;
    expect_same(&examine(&copy)?, &examine(&tree)?)?;
    ensure!(fs::read(outside.join("precious"))? == b"not to be touched");
    ensure!(fs::read_dir(&outside)?.count() == 1);
    Ok(())
}

#[test]
fn a_part_can_be_restored_to_another_directory() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for name in ["a/1", "a/2.tmp", "b/3", "4"] {
        fixture.write(name, name)?;
    }
    fs::set_permissions(fixture.path("tree/a"), Permissions::from_mode(0o711))?;
    fixture.back_up(&[])?;
    let target = format!("dir:{}", fixture.path("other").display());
    fixture.restore(&[
        "--target",
        &target,
        "--yes",
        "--include",
        "a",
        "--exclude",
        "*.tmp",
    ])?;
    let other = fixture.path("other");
    ensure!(fs::read(other.join("a/1"))? == b"a/1");
    ensure!(other.join("a").metadata()?.mode() & 0o777 == 0o711);
    ensure!(!other.join("a/2.tmp").exists() && !other.join("b").exists());
    ensure!(!other.join("4").exists());
    Ok(())
}

#[test]
fn a_snapshot_of_something_else_removes_nothing() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("kept", "kept")?;
    let before = examine(&fixture.path("tree"))?;
    let newest = || -> Result<String> {
        let snapshots = fixture.restic.snapshots()?;
        let newest = snapshots.last().context("there is none")?["id"].as_str();
        Ok(newest.context("it has no id")?.to_owned())
    };
    let source = fixture.source();
    let restore = |id: &str, more: &[&str], words: &[&str]| {
        let restore = ["restore", id, "--source", &source, "--yes"];
        fixture
            .tthost
            .fails(&[&restore[..], more].concat(), 1, words)
    };
    // A dump of a database, as a script stores it.
    fixture
        .restic
        .backup_stdin("database.sql", b"SELECT 1;\n")?;
    let dump = newest()?;
    restore(&dump, &[], &["/database.sql is not a directory"])?;
    restore(&dump, &["--delete"], &["is not of the source", "--delete"])?;
    // Another directory, which is empty.
    let other = fixture.path("other");
    fs::create_dir(&other)?;
    let other = format!("dir:{}", other.display());
    let run = ["run", "--source", &other, "--sink", "restic-local"];
    fixture.tthost.ok(&run)?;
    let words = ["of the source", "would remove"];
    restore(&newest()?, &["--delete"], &words)?;
    restore(&newest()?, &["--delete", "--dry-run"], &words)?;
    expect_same(&before, &examine(&fixture.path("tree"))?)
}

#[test]
fn a_restore_onto_a_disk_that_fills_up_fails_and_leaves_nothing_unfinished() -> Result<()> {
    let tmpfs = Tmpfs::mount(2 << 20)?;
    let fixture = TreeFixture::new()?;
    // Small files are written after they were taken, each directory's by another thread.
    for number in 0..1000 {
        fixture.write(&format!("{}/{number}", number / 100), &"there".repeat(2000))?;
    }
    fixture.back_up(&[])?;
    let to = tmpfs.path().join("to");
    let target = to.to_str().context("it is UTF-8")?;
    let words = ["cannot be restored", "No space left"];
    fixture
        .tthost
        .fails(&["restore", "latest", "--to", target], 1, &words)?;
    let left = read_tree(&to)?;
    let is_unfinished = |path: &PathBuf| path.to_string_lossy().contains(".tthost-partial-");
    ensure!(!left.keys().any(is_unfinished), "{:?}", left.keys());
    Ok(())
}

#[test]
fn a_repository_on_a_file_system_that_is_read_only_can_be_restored_from() -> Result<()> {
    let mut tmpfs = Tmpfs::mount(64 << 20)?;
    let mut fixture = TreeFixture::new()?;
    fixture.restic = Restic::at(tmpfs.path().join("repository"), PASSWORD)?;
    fixture.restic.init_copy()?;
    fixture
        .tthost
        .set([("RESTIC_REPOSITORY", fixture.restic.repository())]);
    fixture.write("kept", "kept")?;
    fixture.back_up(&[])?;
    tmpfs.make_read_only()?;
    let copy = fixture.path("copy");
    let copy = copy.to_str().context("it is UTF-8")?;
    fixture.tthost.ok(&["restore", "latest", "--to", copy])?;
    let source = fixture.source();
    fixture
        .tthost
        .ok(&["dump", "latest", &format!("{}/kept", &source[4..])])?;
    fixture.tthost.ok(&["check", "--read-data"])?;
    fixture.tthost.ok(&["drill", "--source", &source])?;
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    fixture.tthost.fails(&run, 1, &["restic-local"])?;
    Ok(())
}
