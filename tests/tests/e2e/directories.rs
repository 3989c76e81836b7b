//! Directories as sources: walked, stored as restic stores them, and put back in their place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags, inotify};
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::tree::{examine, expect_same, without_holes};
use tthost_tests::tthost::Tthost;
use tthost_tests::wait::wait_until;

const PASSWORD: &str = "password";

/// A directory to back up and a repository.
struct TreeFixture {
    directory: TempDir,
    tthost: Tthost,
    restic: Restic,
}

impl TreeFixture {
    fn new() -> Result<Self> {
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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) -> Result<()> {
        let path = self.path("tree").join(name);
        fs::create_dir_all(path.parent().context("it has a parent")?)?;
        Ok(fs::write(path, contents)?)
    }

    fn source(&self) -> String {
        format!("dir:{}", self.path("tree").display())
    }

    /// Backs the tree up with these arguments besides, and answers the report of the one sink.
    fn back_up(&self, arguments: &[&str]) -> Result<serde_json::Value> {
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
    fn stored(&self) -> Result<Vec<String>> {
        let top = format!("{}/", self.path("tree").display());
        let files = self.restic.files("latest")?;
        Ok(files
            .iter()
            .map(|path| path.trim_start_matches(&top).to_owned())
            .collect())
    }

    fn restore(&self, arguments: &[&str]) -> Result<command::Outcome> {
        let source = self.source();
        let restore = ["restore", "latest", "--source", &source];
        self.tthost.ok(&[&restore[..], arguments].concat())
    }

    /// Uses a configuration in which `tree` has these settings.
    fn configure(&self, settings: &str) -> Result<()> {
        let tree = self.path("tree");
        let text = format!(
            "[sources.tree]\nplugin = \"volume-source\"\nconfig = {{ {settings} }}\n\
             grants.trees.files.path = \"{}\"\n",
            tree.display()
        );
        Ok(fs::write(self.tthost.home().join("tthost.toml"), text)?)
    }

    fn back_up_configured(&self) -> Result<command::Outcome> {
        let run = ["run", "--source", "tree", "--sink", "restic-local"];
        self.tthost.ok(&run)
    }
}

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
fn deleting_spares_the_system_and_what_is_restored_from() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let around = fixture.directory.path().display().to_string();
    for (to, words) in [
        (around.as_str(), ["/repository", "--delete would remove"]),
        ("/", ["everything", "this program too"]),
    ] {
        let restore = ["restore", "latest", "--to", to, "--delete", "--yes"];
        fixture.tthost.fails(&restore, 1, &words)?;
    }
    ensure!(fixture.path("repository/config").exists());
    Ok(())
}

#[test]
fn a_source_has_one_name_whichever_way_leads_to_it() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fs::create_dir(fixture.path("other"))?;
    fs::write(fixture.path("other/a"), "b")?;
    let link = fixture.path("current");
    let top = fixture.directory.path().display();
    for (target, source) in [
        ("tree", format!("dir:{top}/current")),
        ("other", format!("dir:{top}//./current/")),
    ] {
        // As a deployment points it to the next release.
        let _ = fs::remove_file(&link);
        symlink(target, &link)?;
        fixture
            .tthost
            .ok(&["run", "--source", &source, "--sink", "restic-local"])?;
    }
    for snapshot in fixture.restic.snapshots()? {
        ensure!(snapshot["paths"] == serde_json::json!([link]), "{snapshot}");
        ensure!(snapshot["tags"] == serde_json::json!([format!("dir:{}", link.display())]));
    }
    fixture.tthost.ok(&["prune", "--keep-last", "1"])?;
    assert_eq!(fixture.restic.snapshots()?.len(), 1, "they are one set");
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
    let partial = || -> Result<usize> {
        let mut find = Command::new("find");
        find.arg(&target).args(["-name", ".tthost-partial-*"]);
        Ok(command::run(&mut find)?.text()?.lines().count())
    };
    wait_until("a file is being written", || {
        partial().is_ok_and(|partial| partial == 2)
    })?;
    restore.kill()?;
    restore.wait()?;
    assert_eq!(partial()?, 2);
    fixture.tthost.ok(&["snapshots"])?;
    assert_eq!(partial()?, 1, "only what was nobody's is removed");
    Ok(())
}

#[test]
fn what_tthost_stores_of_a_directory_restic_restores_with_all_metadata() -> Result<()> {
    let fixture = TreeFixture::new()?;
    odd_files::create(&fixture.path("tree"))?;
    fixture.back_up(&[])?;
    fixture.restic.check()?;
    let to = fixture.path("restored");
    fixture.restic.restore("latest", &to)?;
    let restored = to.join(fixture.path("tree").strip_prefix("/")?);
    let expected = without_holes(examine(&fixture.path("tree"))?);
    expect_same(&expected, &without_holes(examine(&restored)?))
}

#[test]
fn restic_finds_nothing_changed_after_tthost_and_tthost_nothing_after_restic() -> Result<()> {
    let fixture = TreeFixture::new()?;
    odd_files::create(&fixture.path("tree"))?;
    fixture.back_up(&[])?;
    let tree = fixture.path("tree");
    let mut restic = fixture.restic.command(&["backup", "--json"]);
    let report = command::run(restic.arg(&tree))?.success()?.json_lines()?;
    let summary = report.last().context("restic says nothing")?;
    for key in ["files_new", "files_changed", "dirs_new", "data_blobs"] {
        ensure!(summary[key] == 0, "{key}: {summary}");
    }
    // Only directories above the tree, in which other tests work, can have changed.
    let above = tree.components().count() as u64 - 2;
    ensure!(summary["dirs_changed"].as_u64() <= Some(above), "{summary}");
    let ours = fixture.back_up(&[])?;
    ensure!(ours["bytes_read"] == 0, "{ours}");
    Ok(())
}

#[test]
fn unchanged_files_are_not_read_again_unless_forced() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for name in ["a", "b/c", "b/d"] {
        fixture.write(name, name)?;
    }
    let receipt = |report: &serde_json::Value| report["sinks"][0]["summary"].clone();
    ensure!(receipt(&fixture.back_up(&[])?)["files_new"] == 3);
    fixture.write("b/d", "longer than before")?;
    let again = fixture.back_up(&[])?;
    ensure!(again["bytes_read"] == 18, "{again}");
    ensure!(receipt(&again)["files_unmodified"] == 2, "{again}");
    ensure!(receipt(&again)["files_changed"] == 1, "{again}");
    let forced = fixture.back_up(&["--force"])?;
    ensure!(forced["bytes_read"] == 22, "{forced}");
    // Of contents there is nothing new. Directories are stored anew: whoever forces a backup may doubt what is stored.
    let directories = fixture.path("tree/b").components().count() as u64;
    let added = receipt(&forced)["objects_added"].as_u64();
    ensure!(added == Some(directories), "{forced}");
    Ok(())
}

#[test]
fn two_sinks_open_each_file_once() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("large", &"0123456789".repeat(100_000))?;
    for number in 0..100 {
        fixture.write(&format!("file{number:02}"), "small")?;
    }
    let second = Restic::at(fixture.path("second"), PASSWORD)?;
    second.init_other_copy()?;
    let tree = fixture.path("tree");
    let config = format!(
        "[sources.tree]\nplugin = \"volume-source\"\ngrants.trees.files.path = \"{}\"\n\
         [sinks.second]\nplugin = \"restic-sink\"\n\
         grants.directories.repository = {{ path = \"{}\", access = \"read-write\" }}\n\
         grants.secrets.password.env = \"RESTIC_PASSWORD\"\n",
        tree.display(),
        second.repository().display()
    );
    fs::write(fixture.tthost.home().join("tthost.toml"), config)?;
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, &tree, inotify::WatchFlags::OPEN)?;
    let run = [
        "run",
        "--source",
        "tree",
        "--sink",
        "restic-local",
        "--sink",
        "second",
    ];
    fixture.tthost.ok(&run)?;
    let mut opened = std::collections::BTreeMap::<_, u32>::new();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    while let Ok(event) = events.next() {
        // The directory itself has no name.
        if let Some(name) = event.file_name() {
            *opened.entry(name.to_owned()).or_default() += 1;
        }
    }
    ensure!(opened.len() == 101, "{opened:?}");
    ensure!(opened.values().all(|count| *count == 1), "{opened:?}");
    fixture.restic.check()?;
    second.check()?;
    ensure!(fixture.restic.files("latest")? == second.files("latest")?);
    Ok(())
}

#[test]
fn what_patterns_and_tags_leave_out_is_not_stored() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for name in [
        "keep",
        "a.tmp",
        "b/kept.tmp",
        "b/c.tmp",
        "cache/x",
        "photos/1",
        "photos/2",
    ] {
        fixture.write(name, name)?;
    }
    fixture.write(
        "cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    )?;
    fixture.configure("exclude = [\"*.tmp\", \"!kept.tmp\"], exclude-caches = true")?;
    fixture.back_up_configured()?;
    let stored = fixture.stored()?;
    let expected = [
        "b/kept.tmp",
        "cache/CACHEDIR.TAG",
        "keep",
        "photos/1",
        "photos/2",
    ];
    ensure!(stored == expected, "{stored:?}");
    fixture.configure("include = [\"/photos\"], exclude = [\"2\"]")?;
    fixture.back_up_configured()?;
    ensure!(fixture.stored()? == ["photos/1"], "{:?}", fixture.stored()?);
    fixture.configure("exclude = [\"a\\nb\"]")?;
    let run = ["run", "--source", "tree", "--sink", "restic-local"];
    fixture
        .tthost
        .fails(&run, 1, &["source tree", "a\\nb", "no pattern"])?;
    Ok(())
}

#[test]
fn what_cannot_be_read_is_reported_and_the_snapshot_says_that_it_lacks_something() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("open", "for everybody")?;
    fixture.write("closed", "for its owner")?;
    fixture.write("shut/inside", "for its owner")?;
    let nobody = |name: &str| {
        let path = fixture.path("tree").join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o000))
            .and_then(|()| std::os::unix::fs::chown(&path, Some(1234), Some(1234)))
    };
    nobody("closed")?;
    nobody("shut")?;
    let _socket = UnixListener::bind(fixture.path("tree/socket"))?;
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let rights = ["dac_override", "dac_read_search"];
    let outcome = fixture.tthost.run_without(&rights, &run)?;
    let outcome = outcome.expect_failure(3, &["closed cannot be read", "shut cannot be read"])?;
    ensure!(outcome.stderr.contains("is a socket"), "{}", outcome.stderr);
    ensure!(
        outcome.text()?.contains("incomplete snapshot"),
        "{}",
        outcome.text()?
    );
    ensure!(fixture.stored()? == ["open"], "{:?}", fixture.stored()?);
    let tags = &fixture.restic.snapshots()?[0]["tags"];
    ensure!(
        tags.as_array()
            .is_some_and(|tags| tags.contains(&"incomplete".into())),
        "{tags}"
    );
    fixture.restic.check()
}

#[test]
fn a_file_that_vanishes_before_it_is_read_is_reported() -> Result<()> {
    let fixture = TreeFixture::new()?;
    // While the first is read, the others have been listed already. They are too large to be read
    // before it.
    fs::File::create(fixture.path("tree/first"))?.set_len(4 << 30)?;
    fixture.write("second", &"there".repeat(200_000))?;
    fixture.write("third", &"there as well".repeat(100_000))?;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &watch,
        fixture.path("tree/first"),
        inotify::WatchFlags::OPEN,
    )?;
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let outcome = thread::scope(|scope| {
        let outcome = scope.spawn(|| fixture.tthost.run(&run));
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        wait_until("the first is read", || events.next().is_ok())?;
        fs::remove_file(fixture.path("tree/second"))?;
        outcome.join().expect("it does not panic")
    });
    outcome?.expect_failure(3, &["second cannot be read and is left out"])?;
    ensure!(
        fixture.stored()? == ["first", "third"],
        "{:?}",
        fixture.stored()?
    );
    fixture.restic.check()
}

#[test]
fn a_file_that_changes_while_it_is_read_is_reported() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let path = fixture.path("tree/log");
    let file = fs::File::create(&path)?;
    // Long enough that it changes many times until it is read.
    file.set_len(1 << 30)?;
    let over = AtomicBool::new(false);
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let mut appended = 1 << 30;
            while !over.load(Ordering::Relaxed) {
                appended += u64::from(file.write_at(b"x", appended).is_ok());
                thread::sleep(Duration::from_millis(5));
            }
        });
        let outcome = fixture.tthost.run(&run);
        over.store(true, Ordering::Relaxed);
        outcome
    });
    let outcome = outcome?.expect_failure(3, &["log changed while it was read"])?;
    ensure!(
        outcome.text()?.contains("incomplete snapshot"),
        "{}",
        outcome.text()?
    );
    ensure!(fixture.stored()? == ["log"], "{:?}", fixture.stored()?);
    fixture.restic.check()
}

#[test]
fn a_tree_that_is_too_deep_is_reported_and_the_rest_is_stored() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "stored")?;
    let mut place = rustix::fs::openat(
        rustix::fs::CWD,
        fixture.path("tree"),
        OFlags::DIRECTORY,
        Mode::empty(),
    )?;
    for _ in 0..5000 {
        rustix::fs::mkdirat(&place, "d", Mode::RWXU)?;
        place = rustix::fs::openat(&place, "d", OFlags::DIRECTORY, Mode::empty())?;
    }
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    fixture
        .tthost
        .fails(&run, 3, &["deeper than 4000 directories"])?;
    ensure!(fixture.stored()? == ["a"], "{:?}", fixture.stored()?);
    // No path is that long, so the standard library could not remove it.
    let mut remove = Command::new("rm");
    command::run(remove.arg("-rf").arg(fixture.path("tree/d")))?.success()?;
    Ok(())
}

#[test]
fn what_comes_after_a_deep_directory_that_is_not_included_is_stored() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fs::create_dir_all(fixture.path("tree/deep").join("d/".repeat(1500)))?;
    fixture.write("kept", "stored")?;
    fixture.configure("include = [\"/kept\"]")?;
    fixture.back_up_configured()?;
    ensure!(fixture.stored()? == ["kept"], "{:?}", fixture.stored()?);
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
fn each_of_several_sources_has_its_snapshot_and_one_that_fails_does_not_harm_the_others()
-> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("file", "contents")?;
    let source = fixture.source();
    let run = [
        "run",
        "--source",
        "dir:/nowhere/at/all",
        "--source",
        &source,
        "--sink",
        "restic-local",
    ];
    fixture
        .tthost
        .fails(&run, 3, &["dir:/nowhere/at/all", "No such file"])?;
    let snapshots = fixture.restic.snapshots()?;
    ensure!(snapshots.len() == 1, "{snapshots:?}");
    ensure!(
        snapshots[0]["tags"] == serde_json::json!([source]),
        "{snapshots:?}"
    );
    Ok(())
}

#[test]
fn a_directory_of_a_snapshot_is_listed_as_restic_lists_it() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for name in ["a", "b/c", "b/d/e", "f"] {
        fixture.write(name, name)?;
    }
    fixture.back_up(&[])?;
    let top = fixture.path("tree");
    let top = top.to_string_lossy();
    for recursive in [&[][..], &["--recursive"]] {
        let ours = [&["ls", "latest", &top], recursive].concat();
        let ours = fixture.tthost.ok(&ours)?;
        let theirs = [&["ls"], recursive, &["latest", &top]].concat();
        let theirs = command::run(&mut fixture.restic.command(&theirs))?.success()?;
        let below = |text: &str| -> Vec<String> {
            let lines = text
                .lines()
                .filter(|line| line.starts_with(&format!("{top}/")));
            lines.map(str::to_owned).collect()
        };
        ensure!(below(ours.text()?).len() == if recursive.is_empty() { 3 } else { 6 });
        ensure!(below(ours.text()?) == below(theirs.text()?));
    }
    let missing = ["ls", "latest", "/nowhere"];
    fixture.tthost.fails(&missing, 1, &["holds no /nowhere"])?;

    // Directories that hold the same have the same name in the store.
    let subtree = |directory: &str| -> Result<serde_json::Value> {
        let report = fixture
            .tthost
            .ok(&["ls", "latest", &top, "--json"])?
            .json()?;
        let path = format!("{top}/{directory}");
        let entries = report["entries"].as_array().context("a list")?;
        let found = entries.iter().find(|entry| entry["path"] == path.as_str());
        Ok(found.context("it is not listed")?["subtree"].clone())
    };
    let before = subtree("b")?;
    fixture.write("a", "something else")?;
    fixture.back_up(&[])?;
    ensure!(before.is_string() && subtree("b")? == before, "{before}");
    fixture.write("b/d/e", "something else")?;
    fixture.back_up(&[])?;
    ensure!(subtree("b")? != before, "{before}");
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
    restore(&dump, &[], &["/database.sql is no directory"])?;
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
