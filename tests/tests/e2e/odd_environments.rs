//! Clocks that are wrong, disks that are full, limits and variables: what surrounds a backup and is not as it should be.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::command;
use tthost_tests::restic::Restic;
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::tthost::Tthost;

use crate::tree_fixture::TreeFixture;

#[test]
fn latest_is_this_hosts_newest_snapshot_and_none_of_the_future() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let ours = fixture.restic.snapshots()?;
    let ours = ours.first().context("there is one")?;
    let host = ours["hostname"].as_str().context("it has a host")?;
    let tree = fixture.path("tree").display().to_string();
    for (time, host) in [
        ("2040-01-01 00:00:00", host),
        ("2026-01-02 00:00:00", "another"),
    ] {
        let backup = ["backup", "--time", time, "--host", host, &tree];
        command::run(&mut fixture.restic.command(&backup))?.success()?;
    }
    fixture.back_up(&["--host", "another"])?;

    let listed = fixture.tthost.ok(&["snapshots", "latest", "--json"])?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    let listed = listed["snapshots"].as_array().context("it is a list")?;
    ensure!(listed.len() == 1 && listed[0]["id"] == ours["id"]);
    let target = fixture.path("restored").display().to_string();
    let restore = ["restore", "latest", "--to", &target, "--yes"];
    let restored = fixture.tthost.ok(&restore)?;
    ensure!(restored.stderr.contains("dated in the future"));
    fixture.tthost.ok(&["forget", "latest"])?;
    let left = fixture.restic.snapshots()?;
    ensure!(left.len() == 3 && left.iter().all(|left| left["id"] != ours["id"]));
    // Where there is no other, it is the newest.
    fixture.tthost.ok(&restore)?;
    Ok(())
}

#[test]
fn the_variables_of_restic_count_or_are_named() -> Result<()> {
    let mut fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.tthost.set([("RESTIC_HOST", "db7")]);
    fixture.back_up(&[])?;
    fixture.back_up(&["--host", "another"])?;
    let hosts: Vec<_> = fixture.restic.snapshots()?;
    let hosts: Vec<_> = hosts.iter().map(|found| &found["hostname"]).collect();
    assert_eq!(hosts, ["db7", "another"]);
    let latest = fixture.tthost.ok(&["snapshots", "latest", "--json"])?;
    assert_eq!(latest.json()?["snapshots"][0]["hostname"], "db7");
    ensure!(latest.stderr.is_empty(), "{}", latest.describe());

    let job = format!(
        "[jobs.files]\nsources = ['{}']\nsinks = ['restic-local']\nhost = 'files1'\n",
        fixture.source()
    );
    fs::write(fixture.tthost.home().join("tthost.toml"), job)?;
    fixture.tthost.set([("RESTIC_COMPRESSION", "max")]);
    fixture.tthost.set([("TTHOST_STATEDIR", "/srv/state")]);
    let run = fixture.tthost.ok(&["run", "--job", "files"])?;
    for name in ["RESTIC_COMPRESSION", "TTHOST_STATEDIR"] {
        ensure!(run.stderr.contains(name), "{}", run.describe());
    }
    let snapshots = fixture.restic.snapshots()?;
    let last = snapshots.last().context("there are some")?;
    assert_eq!(last["hostname"], "files1");
    fixture.tthost.set([("RESTIC_HOST", " ")]);
    let run = ["run", "--job", "files"];
    fixture.tthost.fails(&run, 1, &["RESTIC_HOST"])?;
    Ok(())
}

#[test]
fn an_empty_word_means_nothing_and_is_refused() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let to = fixture.path("restored").display().to_string();
    let source = fixture.source();
    for arguments in [
        &["restore", "", "--to", &to, "--yes"][..],
        &["restore", "latest", "--to", &to, "--path", ""],
        &["dump", "latest", ""],
        &["ls", ""],
        &["forget", ""],
        &["snapshots", "--host", ""],
        &[
            "run",
            "--source",
            &source,
            "--sink",
            "restic-local",
            "--tag=",
        ],
    ] {
        fixture.tthost.fails(arguments, 2, &["an empty word"])?;
    }
    ensure!(fixture.restic.snapshots()?.len() == 1);
    fixture.tthost.ok(&["snapshots", "--group-by", ""])?;
    Ok(())
}

#[test]
fn a_variable_that_is_no_text_is_not_passed_over() -> Result<()> {
    let mut fixture = TreeFixture::new()?;
    let value = OsString::from_vec(b"/nowhere/\xff".to_vec());
    fixture.tthost.set([("TTHOST_STATE_DIR", value)]);
    let words = ["TTHOST_STATE_DIR", "UTF-8"];
    fixture.tthost.fails(&["snapshots"], 1, &words)?;
    Ok(())
}

#[test]
fn several_probes_at_once_say_the_same() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let probe = ["probe", "restic-local", "--json"];
    // Its plugin is compiled then, and all of them begin at once.
    let alone = fixture.tthost.ok(&probe)?;
    let class = |stdout: &[u8]| -> Result<Value> {
        let report: Value = serde_json::from_slice(stdout)?;
        Ok(report["class"].clone())
    };
    ensure!(class(&alone.stdout)? == "full", "{}", alone.describe());
    let start = |_| {
        fixture
            .tthost
            .command(&probe)
            .stdout(Stdio::piped())
            .spawn()
    };
    let started: Vec<_> = (0..8).map(start).collect::<Result<_, _>>()?;
    for child in started {
        let ended = child.wait_with_output()?;
        ensure!(class(&ended.stdout)? == "full", "{ended:?}");
    }
    let left = fs::read_dir(fixture.path("repository"))?;
    let names: Vec<_> = left
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    let is_of_probe = |name: &OsString| name.to_string_lossy().contains("probe");
    ensure!(!names.iter().any(is_of_probe), "{names:?}");
    Ok(())
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_leaves_nothing() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("small", "small")?;
    fixture.back_up(&[])?;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(8 << 20)
        .collect();
    fs::write(fixture.path("tree/large"), noise)?;
    let source = fixture.source();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let limited = r#"ulimit -f 4096; exec "$@""#;
    let failed = fixture.tthost.in_shell(limited, &run)?;
    failed.expect_failure(1, &["cannot be written"])?;
    ensure!(fs::read_dir(fixture.path("repository/locks"))?.count() == 0);
    fixture.tthost.ok(&run)?;
    fixture.restic.check()
}

#[test]
fn a_job_runs_on_time_where_nothing_can_be_remembered() -> Result<()> {
    let mut fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fs::write(fixture.path("state"), "a file")?;
    let state = fixture.path("state");
    fixture.tthost.set([("TTHOST_STATE_DIR", &state)]);
    let job = format!(
        "[jobs.files]\nsources = ['{}']\nsinks = ['restic-local']\n",
        fixture.source()
    );
    fs::write(fixture.tthost.home().join("tthost.toml"), job)?;
    let run = fixture.tthost.ok(&["schedule", "run", "files"])?;
    ensure!(run.stderr.contains("not remembered"), "{}", run.describe());
    ensure!(fixture.restic.snapshots()?.len() == 1);
    Ok(())
}

#[test]
fn a_retention_that_keeps_nothing_is_found_by_a_check_of_the_configuration() -> Result<()> {
    let fixture = TreeFixture::new()?;
    for (text, words) in [
        (
            "[retention]\nkeep-daily = 0\nkeep-weekly = 0\nkeep-monthly = 0\n",
            "keeps no snapshot",
        ),
        ("[retention]\nkeep-tag = ['a,']\n", "is empty"),
        (
            "[sources.'a,b']\nplugin = 'volume-source'\ngrants.trees.t.path = '/srv'\n",
            "has a comma",
        ),
        (
            "[sources.'dir:/srv']\nplugin = 'volume-source'\ngrants.trees.t.path = '/srv'\n",
            "needs no configuration",
        ),
    ] {
        fs::write(fixture.tthost.home().join("tthost.toml"), text)?;
        fixture.tthost.fails(&["config", "check"], 1, &[words])?;
    }
    Ok(())
}

#[test]
fn a_set_up_that_a_full_disk_cut_off_goes_on_with_the_same_password() -> Result<()> {
    /// Room for the key, and for nothing after it.
    const ROOM: usize = 4 << 10;
    const SIZE: usize = 64 << 10;
    let disk = Tmpfs::mount(SIZE as u64)?;
    let tthost = Tthost::new()?;
    let repository = disk.path().join("repository").display().to_string();
    let init = ["init", "--repository", &repository];
    fs::write(disk.path().join("full"), vec![1; SIZE - ROOM])?;
    tthost.fails(&init, 1, &["config"])?;
    let password = fs::read_to_string(tthost.home().join("tthost.password"))?;
    fs::remove_file(disk.path().join("full"))?;
    tthost.ok(&init)?;
    Restic::at(repository, password.trim())?.check()?;
    Ok(())
}
