//! Directories as sources: walked, stored as restic stores them, and put back in their place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags, inotify};
use tthost_tests::command;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tree::{examine, expect_same, without_holes};
use tthost_tests::wait::wait_until;

use crate::tree_fixture::{PASSWORD, TreeFixture};

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
        .fails(&run, 1, &["source tree", "a\\nb", "not a pattern"])?;
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
    // While two are read, the others have been listed already. They are too large to be read
    // before them.
    for name in ["tree/another", "tree/first"] {
        fs::File::create(fixture.path(name))?.set_len(2 << 30)?;
    }
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
        fixture.stored()? == ["another", "first", "third"],
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
