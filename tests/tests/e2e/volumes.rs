//! Docker volumes, with a real engine and containers that use them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::docker::{Docker, IMAGE};
use tthost_tests::odd_files::{self, make_sparse};
use tthost_tests::restic::Restic;
use tthost_tests::tree::{Tree, examine, expect_same, without_holes};
use tthost_tests::tthost::Tthost;
use tthost_tests::wait::wait_until;

const PASSWORD: &str = "password";

/// An engine with volumes, and a repository.
struct VolumesFixture {
    docker: Docker,
    tthost: Tthost,
    restic: Restic,
    directory: TempDir,
}

impl VolumesFixture {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-volumes.")
            .tempdir()?;
        let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
        restic.init_copy()?;
        let docker = Docker::start()?;
        let mut tthost = Tthost::new()?;
        tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        tthost.set([("DOCKER_HOST", docker.address())]);
        Ok(Self {
            docker,
            tthost,
            restic,
            directory,
        })
    }

    /// Uses a configuration with a source `files` whose tree is this.
    fn configure(&self, tree: &str) -> Result<()> {
        let text = format!(
            "[sources.files]\nplugin = \"volume-source\"\n\
             grants.commands.note.argv = [\"sh\", \"-c\", \"touch hook-ran; echo noted >&2\"]\n\
             [sources.files.grants.trees.files]\n{tree}\n"
        );
        Ok(fs::write(self.tthost.home().join("tthost.toml"), text)?)
    }
}

fn run(source: &str) -> [&str; 5] {
    ["run", "--source", source, "--sink", "restic-local"]
}

#[test]
fn a_volume_that_a_container_writes_to_is_backed_up_and_restored() -> Result<()> {
    let fixture = VolumesFixture::new()?;
    let files = fixture.docker.volume("uploads", "")?;
    let script = "echo one >/data/one; chmod 640 /data/one; echo ready >/data/ready; sleep 600";
    fixture.docker.container("writer", "uploads", script)?;
    wait_until("the container has written", || files.join("ready").exists())?;
    fixture.tthost.ok(&run("volume:uploads"))?;
    let stored = fixture.restic.files("latest")?;
    ensure!(
        stored == ["/volumes/uploads/one", "/volumes/uploads/ready"],
        "{stored:?}"
    );

    // Into the volume.
    fs::write(files.join("one"), "spoilt")?;
    fs::write(files.join("more"), "than there was")?;
    let restore = ["restore", "latest", "--source", "volume:uploads", "--yes"];
    fixture.tthost.ok(&restore)?;
    ensure!(fs::read(files.join("one"))? == b"one\n");
    ensure!(files.join("more").exists(), "only --delete removes");
    fixture.tthost.ok(&[&restore[..], &["--delete"]].concat())?;
    ensure!(!files.join("more").exists());

    // Into a new one.
    fixture
        .tthost
        .ok(&[&restore[..], &["--target", "volume:copy"]].concat())?;
    let copy = fixture.docker.mountpoint("copy")?;
    ensure!(fs::read(copy.join("one"))? == b"one\n");
    ensure!(copy.join("one").metadata()?.mode() & 0o777 == 0o640);
    fixture.restic.check()
}

#[test]
fn a_volume_goes_both_ways_between_tthost_and_restic_while_it_is_written_to() -> Result<()> {
    expect_both_ways(2, 64 << 20)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_large_volume_goes_both_ways_between_tthost_and_restic_while_it_is_written_to() -> Result<()> {
    expect_both_ways(100, 2 << 30)
}

/// Carries a volume both ways that holds so many thousand small files and a sparse one of so many bytes.
fn expect_both_ways(thousands: usize, sparse: u64) -> Result<()> {
    let fixture = VolumesFixture::new()?;
    let files = fixture.docker.volume("large", "")?;
    odd_files::create(&files)?;
    make_sparse(&files.join("nearly all hole"), sparse)?;
    for directory in 0..thousands {
        let directory = files.join(format!("small/{directory}"));
        fs::create_dir_all(&directory)?;
        for file in 0..1000 {
            let path = directory.join(file.to_string());
            fs::write(&path, path.as_os_str().as_encoded_bytes())?;
        }
    }
    let script = "mkdir /data/live; while :; do date >>/data/live/log; sleep 0.05; done";
    fixture.docker.container("writer", "large", script)?;
    wait_until("the container writes", || files.join("live/log").exists())?;
    // What the container writes is different each time.
    let settled = |top: &Path| -> Result<Tree> {
        let mut tree = examine(top)?;
        tree.retain(|path, _| !path.starts_with("live"));
        Ok(tree)
    };
    let expected = settled(&files)?;
    ensure!(expected.len() > thousands * 1000);

    // The log may have grown while it was read.
    let outcome = fixture.tthost.run(&run("volume:large"))?;
    ensure!(
        matches!(outcome.status.code(), Some(0 | 3)),
        "{}",
        outcome.describe()
    );
    fixture.restic.check()?;
    let check = ["check", "--read-data", "--sink", "restic-local"];
    fixture.tthost.ok(&check)?;
    let to = fixture.directory.path().join("by restic");
    fixture.restic.restore("latest", &to)?;
    let restored = to.join("volumes/large");
    expect_same(
        &without_holes(expected.clone()),
        &without_holes(settled(&restored)?),
    )?;
    let log = fs::read(restored.join("live/log"))?;
    ensure!(!log.is_empty() && fs::read(files.join("live/log"))?.starts_with(&log));
    fs::remove_dir_all(to)?;

    command::run(fixture.restic.command(&["backup"]).arg(&files))?.success()?;
    let snapshots = fixture.restic.snapshots()?;
    let id = snapshots
        .last()
        .and_then(|snapshot| snapshot["id"].as_str());
    let id = id.context("restic made no snapshot")?;
    let restore = ["restore", id, "--source", "volume:large", "--yes"];
    let copy = ["--target", "volume:copy", "--verify"];
    fixture.tthost.ok(&[&restore[..], &copy].concat())?;
    expect_same(&expected, &settled(&fixture.docker.mountpoint("copy")?)?)
}

#[test]
fn a_volume_out_of_reach_is_streamed_through_the_engine() -> Result<()> {
    let mut fixture = VolumesFixture::new()?;
    let files = fixture.docker.volume("far", "")?;
    odd_files::create(&files)?;
    let address = fixture.docker.address_over_network();
    fixture.tthost.set([("DOCKER_HOST", address)]);
    let back_up = || -> Result<serde_json::Value> {
        let outcome = fixture
            .tthost
            .ok(&[&run("volume:far")[..], &["--json"]].concat())?;
        ensure!(
            outcome.stderr.contains("far cannot be reached from here"),
            "{}",
            outcome.stderr
        );
        Ok(outcome.json()?["sources"][0].clone())
    };
    back_up()?;
    fixture.restic.check()?;
    let to = fixture.directory.path().join("restored");
    fixture.restic.restore("latest", &to)?;
    // The engine tells whole seconds and nothing of attributes.
    let told = |top: &Path| -> Result<Tree> {
        let mut tree = without_holes(examine(top)?);
        for node in tree.values_mut() {
            node.attributes.clear();
            node.modified.1 = 0;
        }
        Ok(tree)
    };
    expect_same(&told(&files)?, &told(&to.join("volumes/far"))?)?;

    // Unchanged files are not stored again, and one that only looks unchanged is.
    ensure!(back_up()?["bytes_read"] == 0);
    let plain = files.join("plain");
    let modified = plain.metadata()?.modified()?;
    fs::write(&plain, "PLAIN")?;
    fs::File::open(&plain)?.set_modified(modified)?;
    ensure!(back_up()?["bytes_read"] == 5);
    ensure!(fixture.restic.dump("latest", "/volumes/far/plain")? == b"PLAIN");

    // The helpers are gone, and were never of use for writing.
    ensure!(fixture.docker.run(&["ps", "-aq"])?.text()?.is_empty());
    ensure!(
        fixture
            .docker
            .run(&["images", "-aq"])?
            .text()?
            .lines()
            .count()
            == 1
    );
    let restore = ["restore", "latest", "--source", "volume:far", "--yes"];
    fixture.tthost.fails(
        &restore,
        1,
        &["volume far", "cannot be written to", "docker cp"],
    )?;
    ensure!(fs::read(&plain)? == b"PLAIN");
    let elsewhere = ["--target", "volume:new"];
    fixture.tthost.fails(
        &[&restore[..], &elsewhere].concat(),
        1,
        &["volume new", "cannot be written to"],
    )?;
    let volumes = fixture.docker.run(&["volume", "ls", "--quiet"])?;
    ensure!(volumes.text()? == "far\n", "{}", volumes.text()?);

    // Interrupted in the middle: what is large enough is streamed for a while.
    fs::File::create(files.join("larger"))?.set_len(64 << 30)?;
    let mut child = fixture.tthost.command(&run("volume:far")).spawn()?;
    let helpers = || {
        fixture
            .docker
            .run(&["ps", "-aq"])?
            .text()
            .map(str::to_owned)
    };
    wait_until("the helpers are there", || {
        helpers().is_ok_and(|helpers| helpers.lines().count() == 2)
    })?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    ensure!(helpers()?.is_empty());

    // Killed in the middle: the next command removes them.
    let mut child = fixture.tthost.command(&run("volume:far")).spawn()?;
    wait_until("the helpers are there", || {
        helpers().is_ok_and(|helpers| helpers.lines().count() == 2)
    })?;
    child.kill()?;
    child.wait()?;
    ensure!(helpers()?.lines().count() == 2);
    fixture.tthost.ok(&["plugin", "list"])?;
    ensure!(helpers()?.is_empty());
    let images = fixture.docker.run(&["images", "-aq"])?;
    ensure!(images.text()?.lines().count() == 1, "{}", images.text()?);
    Ok(())
}

#[test]
fn a_container_goes_on_after_the_next_command_when_the_run_was_killed() -> Result<()> {
    let fixture = VolumesFixture::new()?;
    let files = fixture.docker.volume("uploads", "")?;
    fs::File::create(files.join("sparse"))?.set_len(64 << 30)?;
    let script = "trap 'exit 0' TERM; while true; do sleep 1; done";
    fixture.docker.container("user", "uploads", script)?;
    let is = |wanted: &str| {
        let status = fixture.docker.status("user");
        status.is_ok_and(|status| status == wanted)
    };
    for (containers, halted) in [("pause", "paused"), ("stop", "exited")] {
        fixture.configure(&format!(
            "volume = \"uploads\"\ncontainers = \"{containers}\""
        ))?;
        let mut child = fixture.tthost.command(&run("files")).spawn()?;
        wait_until("the container stands still", || is(halted))?;
        child.kill()?;
        child.wait()?;
        ensure!(is(halted), "nobody has undone it yet");
        let said = fixture.tthost.ok(&["snapshots"])?.stderr;
        ensure!(is("running"), "{}", fixture.docker.status("user")?);
        ensure!(said.contains("the container user, which it had"), "{said}");
        let said = fixture.tthost.ok(&["snapshots"])?.stderr;
        ensure!(!said.contains("container"), "{said}");
    }
    Ok(())
}

#[test]
fn a_container_that_stopping_would_remove_is_left_alone() -> Result<()> {
    let fixture = VolumesFixture::new()?;
    fixture.docker.volume("uploads", "")?;
    let program = [
        "run",
        "--detach",
        "--rm",
        "--network",
        "none",
        "--name",
        "user",
    ];
    let rest = [
        "--volume",
        "uploads:/data",
        IMAGE,
        "/bin/sh",
        "-c",
        "sleep 600",
    ];
    fixture.docker.run(&[&program[..], &rest].concat())?;
    fixture.configure("volume = \"uploads\"\ncontainers = \"stop\"")?;
    let words = ["source files", "user", "--rm", "containers = \"pause\""];
    fixture.tthost.fails(&run("files"), 1, &words)?;
    ensure!(fixture.docker.status("user")? == "running");
    fixture.configure("volume = \"uploads\"\ncontainers = \"pause\"")?;
    fixture.tthost.ok(&run("files"))?;
    ensure!(fixture.docker.status("user")? == "running");
    Ok(())
}

#[test]
fn volumes_are_found_by_label_and_pattern_and_a_wrong_name_lists_them() -> Result<()> {
    let fixture = VolumesFixture::new()?;
    for (name, label) in [("shop_a", "backup=yes"), ("shop_b", ""), ("other", "")] {
        let files = fixture.docker.volume(name, label)?;
        fs::write(files.join(name), name)?;
    }
    fixture.configure("volume-label = \"backup=yes\"")?;
    fixture.tthost.ok(&run("files"))?;
    ensure!(fixture.restic.files("latest")? == ["/volumes/shop_a/shop_a"]);
    // A volume's snapshots are known by its path, whatever the source was called.
    fixture.tthost.ok(&run("volume:other"))?;
    let restore = |volume| ["restore", "latest", "--source", volume, "--dry-run"];
    let planned = fixture.tthost.ok(&restore("volume:shop_a"))?;
    let id = fixture.restic.snapshots()?[0]["short_id"].clone();
    let id = id.as_str().context("it has an id")?;
    ensure!(planned.text()?.contains(id), "{}", planned.describe());
    fixture.tthost.fails(
        &restore("volume:shop_b"),
        1,
        &["no snapshot of volume:shop_b"],
    )?;
    let missing = [
        "restore",
        "latest",
        "--source",
        "volume:new",
        "--tag",
        "files",
        "--yes",
    ];
    fixture.tthost.fails(
        &missing,
        1,
        &["no volume new", "--target volume:new creates it"],
    )?;
    fixture.configure("volume-pattern = \"shop_*\"")?;
    fixture.tthost.fails(
        &run("files"),
        1,
        &["source files", "shop_a, shop_b", "many = true"],
    )?;
    fixture.configure("volume-pattern = \"shop_*\"\nmany = true")?;
    fixture.tthost.ok(&run("files"))?;
    let stored = fixture.restic.files("latest")?;
    ensure!(
        stored == ["/volumes/shop_a/shop_a", "/volumes/shop_b/shop_b"],
        "{stored:?}"
    );
    fixture.tthost.fails(
        &run("volume:shop"),
        1,
        &["no volume shop", "other, shop_a, shop_b"],
    )?;
    Ok(())
}

#[test]
fn containers_pause_or_stop_and_go_on_whatever_happens() -> Result<()> {
    let fixture = VolumesFixture::new()?;
    let files = fixture.docker.volume("uploads", "")?;
    fs::write(files.join("file"), "contents")?;
    fixture.docker.container(
        "user",
        "uploads",
        "trap 'exit 0' TERM; while true; do sleep 1; done",
    )?;
    let started = |docker: &Docker| -> Result<String> {
        let inspect = ["inspect", "--format", "{{.State.StartedAt}}", "user"];
        Ok(docker.run(&inspect)?.text()?.to_owned())
    };
    let first = started(&fixture.docker)?;
    fixture.configure(
        "volume = \"uploads\"\ncontainers = \"pause\"\nbefore = \"note\"\nafter = \"note\"",
    )?;
    let said = fixture.tthost.ok(&run("files"))?.stderr;
    assert_eq!(
        said.matches("source files: note: noted\n").count(),
        2,
        "{said}"
    );
    ensure!(fixture.docker.status("user")? == "running");
    ensure!(
        started(&fixture.docker)? == first,
        "it was stopped and not paused"
    );
    ensure!(fixture.tthost.home().join("hook-ran").exists());

    fixture.configure("volume = \"uploads\"\ncontainers = \"stop\"")?;
    fixture.tthost.ok(&run("files"))?;
    ensure!(fixture.docker.status("user")? == "running");
    ensure!(started(&fixture.docker)? != first, "it was not stopped");

    // Interrupted in the middle: what is large enough is read for a while.
    fixture.configure("volume = \"uploads\"\ncontainers = \"pause\"")?;
    fs::File::create(files.join("sparse"))?.set_len(64 << 30)?;
    let mut child = fixture.tthost.command(&run("files")).spawn()?;
    wait_until("the container is paused", || {
        fixture
            .docker
            .status("user")
            .is_ok_and(|status| status == "paused")
    })?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    ensure!(fixture.docker.status("user")? == "running");
    ensure!(fixture.restic.snapshots()?.len() == 2);
    fixture.restic.check()
}

#[test]
fn without_an_engine_the_error_says_where_it_was_looked_for() -> Result<()> {
    let mut tthost = Tthost::new()?;
    tthost.set([
        ("RESTIC_REPOSITORY", "/nowhere"),
        ("RESTIC_PASSWORD", PASSWORD),
    ]);
    tthost.set([("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    let restic_missing = tthost.run(&run("volume:uploads"))?;
    ensure!(
        restic_missing.status.code() == Some(10),
        "{}",
        restic_missing.describe()
    );
    let directory = tempfile::tempdir()?;
    let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
    restic.init_copy()?;
    tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
    let words = [
        "source volume:uploads",
        "no Docker engine at unix:///nowhere/docker.sock",
    ];
    tthost.fails(&run("volume:uploads"), 1, &words)?;
    Ok(())
}
