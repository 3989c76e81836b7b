//! Snapshots that the retention does not keep.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::command;
use tthost_tests::files::read_tree;
use tthost_tests::fixture::Fixture;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::restic::Restic;
use tthost_tests::wait::wait_until;

/// Days with several snapshots, days without one, and the turn of a year whose last week is the
/// first of the next.
const TIMES: [&str; 14] = [
    "2024-02-29 12:00:00",
    "2024-11-03 08:00:00",
    "2025-06-30 23:59:59",
    "2025-07-01 00:00:00",
    "2025-12-28 10:00:00",
    "2025-12-29 10:00:00",
    "2025-12-31 22:10:00",
    "2025-12-31 22:50:00",
    "2025-12-31 23:10:00",
    "2026-01-01 00:30:00",
    "2026-01-04 09:00:00",
    "2026-01-05 09:00:00",
    "2026-01-05 21:00:00",
    "2026-01-07 09:00:00",
];

/// Options that both programs understand.
const POLICIES: [&[&str]; 9] = [
    &["--keep-daily", "3"],
    &["--keep-last", "2", "--keep-hourly", "4"],
    &["--keep-weekly", "3", "--keep-monthly", "2"],
    &[
        "--keep-daily",
        "7",
        "--keep-weekly",
        "4",
        "--keep-monthly",
        "12",
        "--keep-yearly",
        "2",
    ],
    &["--keep-within", "1m2d6h", "--keep-tag", "release,db"],
    &["--keep-within-daily", "1y", "--keep-yearly", "3"],
    &["--keep-last", "2", "--group-by", "tags"],
    &["--keep-weekly", "2", "--group-by", ""],
    &[
        "--keep-within-weekly",
        "3m",
        "--keep-tag",
        "db",
        "--keep-tag",
        "release",
    ],
];

/// A local repository with a snapshot of each time, each of which has a file of its own.
fn stock() -> Result<(OffsiteFixture, Restic)> {
    let mut fixture = OffsiteFixture::new(&[])?;
    fixture.tthost.set([("TZ", "UTC")]);
    let restic = fixture.init_local()?;
    for (number, time) in TIMES.iter().enumerate() {
        fixture.fill("first", number as u64, 300_000)?;
        let tree = fixture.tree();
        let tag = ["db", "release,db", "db"][number % 3];
        let arguments = ["backup", "--time", time, "--host", "here", "--tag", tag];
        let mut backup = restic.command(&arguments);
        command::run(backup.arg(&tree).env("TZ", "UTC"))?.success()?;
    }
    Ok((fixture, restic))
}

fn ids<'a>(snapshots: impl IntoIterator<Item = &'a Value>) -> Result<BTreeSet<String>> {
    let id = |snapshot: &Value| snapshot["id"].as_str().map(str::to_owned);
    snapshots
        .into_iter()
        .map(|snapshot| id(snapshot).context("a snapshot without an id"))
        .collect()
}

/// What restic would keep.
fn kept_by_restic(restic: &Restic, policy: &[&str]) -> Result<BTreeSet<String>> {
    let mut forget = restic.command(&["forget", "--dry-run", "--json"]);
    let groups = command::run(forget.args(policy).env("TZ", "UTC"))?
        .success()?
        .json()?;
    let groups = groups.as_array().context("it lists groups")?;
    ids(groups
        .iter()
        .filter_map(|group| group["keep"].as_array())
        .flatten())
}

/// Prunes the local repository, and answers what is kept and what was done.
fn prune(fixture: &OffsiteFixture, options: &[&str]) -> Result<(BTreeSet<String>, Value)> {
    let command = [&["prune", "--sink", "local", "--json"], options].concat();
    let report = fixture.tthost.ok(&command)?.json()?;
    let pruned = &report["sinks"][0]["pruned"];
    let keep = pruned["keep"].as_array().context("it lists snapshots")?;
    Ok((ids(keep)?, pruned["store"].clone()))
}

/// Bytes of all packs.
fn stored(repository: &Path) -> Result<u64> {
    let mut bytes = 0;
    for directory in fs::read_dir(repository.join("data"))? {
        for pack in fs::read_dir(directory?.path())? {
            bytes += pack?.metadata()?.len();
        }
    }
    Ok(bytes)
}

#[test]
fn what_restic_would_keep_is_kept_and_the_rest_is_freed() -> Result<()> {
    let (fixture, restic) = stock()?;
    for policy in POLICIES {
        let theirs = kept_by_restic(&restic, policy)?;
        let (ours, _) = prune(&fixture, &[policy, &["--dry-run"]].concat())?;
        ensure!(ours == theirs, "{policy:?}: {ours:#?} and not {theirs:#?}");
    }
    ensure!(
        restic.snapshots()?.len() == TIMES.len(),
        "a dry run removed something"
    );

    let before = stored(restic.repository())?;
    let (kept, store) = prune(&fixture, POLICIES[0])?;
    let left = restic.snapshots()?;
    ensure!(kept.len() == 3 && ids(&left)? == kept, "{kept:?} {left:#?}");
    restic.check()?;
    let after = stored(restic.repository())?;
    ensure!(store["bytes_left"] == after, "{store:#} and {after}");
    // Eleven files of 300 kB are gone.
    ensure!(
        (3_200_000..3_500_000).contains(&(before - after)),
        "{before} {after}"
    );
    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    fixture.tthost.ok(&[
        "restore", "latest", "--host", "here", "--sink", "local", "--to", &to,
    ])?;
    fixture.expect_restored(&target)?;

    // And what tthost makes goes on from there.
    fixture.back_up("local")?;
    fixture
        .tthost
        .ok(&["check", "--sink", "local", "--read-data"])?;
    restic.check()
}

#[test]
fn people_see_what_goes_and_why_the_rest_stays() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    fixture.back_up("local")?;
    fixture.fill("second", 2, 1 << 20)?;
    fixture.back_up("local")?;
    let rehearsed = ["prune", "--sink", "local", "--keep-last", "1", "--dry-run"];
    let text = fixture.tthost.ok(&rehearsed)?.text()?.to_owned();
    for words in [
        "KEPT AS",
        "last\n",
        "would be removed\n",
        "1 of 2 snapshots would be removed",
    ] {
        ensure!(text.contains(words), "{words} is missing: {text}");
    }
    // The configured retention keeps both: the last of the day, and the oldest there is.
    let text = fixture
        .tthost
        .ok(&["prune", "--sink", "local"])?
        .text()?
        .to_owned();
    ensure!(text.contains("local: 0 of 2 snapshots removed"), "{text}");
    let text = fixture.tthost.ok(&rehearsed[..5])?.text()?.to_owned();
    ensure!(text.contains("local: 1 of 2 snapshots removed"), "{text}");
    ensure!(restic.snapshots()?.len() == 1);
    restic.check()
}

#[test]
fn what_makes_no_sense_changes_nothing() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    fs::create_dir(fixture.local())?;
    fixture.tthost.fails(
        &["prune", "--sink", "local"],
        10,
        &["no repository", "tthost init"],
    )?;
    let restic = fixture.init_local()?;
    fixture.back_up("local")?;
    let command = ["prune", "--sink", "local", "--keep-last", "0"];
    let words = ["keeps no snapshot at all"];
    fixture.tthost.fails(&command, 1, &words)?;
    let none = [
        "prune",
        "--sink",
        "local",
        "--keep-last",
        "1",
        "--host",
        "nobody",
    ];
    let text = fixture.tthost.ok(&none)?.text()?.to_owned();
    ensure!(text.contains("no snapshot matches"), "{text}");
    ensure!(restic.snapshots()?.len() == 1);
    Ok(())
}

#[test]
fn a_policy_leaves_a_snapshot_and_who_names_the_last_one_removes_it() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    fixture
        .tthost
        .ok(&["prune", "--keep-tag", "nobody-has-it"])?;
    ensure!(fixture.restic.snapshots()?.len() == 1);
    let listed = fixture.tthost.ok(&["snapshots", "--json"])?.json()?;
    let id = listed["snapshots"][0]["id"].as_str();
    fixture
        .tthost
        .ok(&["forget", id.context("there is one")?])?;
    ensure!(fixture.restic.snapshots()?.is_empty());
    fixture.back_up()?;
    fixture.expect_sound(1)
}

#[test]
fn a_directory_that_cannot_be_read_has_no_credentials_and_is_an_error() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    // The name that all probes had once.
    let repository = fixture.restic.repository();
    fs::create_dir(repository.join("tthost-probe"))?;
    let prune = ["prune", "--keep-last", "1"];
    fixture.tthost.ok(&prune)?;
    let snapshots = repository.join("snapshots");
    let set = |mode| fs::set_permissions(&snapshots, fs::Permissions::from_mode(mode));
    set(0)?;
    let rights = ["dac_override", "dac_read_search"];
    let refused = fixture.tthost.run_without(&rights, &prune);
    set(0o700)?;
    let words = ["snapshots cannot be", "permission denied"];
    refused?.expect_failure(1, &words)?;
    let left = read_tree(repository)?;
    ensure!(
        !left
            .keys()
            .any(|path| path.to_string_lossy().contains("tthost-probe-")),
        "{:?}",
        left.keys()
    );
    Ok(())
}

#[test]
fn a_lock_that_a_crashed_program_left_can_be_removed() -> Result<()> {
    // `PROC_PID_INIT_INO`. In another namespace, tthost cannot tell who is gone.
    ensure!(
        fs::read_link("/proc/self/ns/pid")?.as_os_str() == "pid:[4026531836]",
        "this test needs to see all processes of the machine: run it outside of containers"
    );
    let fixture = Fixture::new()?;
    let restic = &fixture.restic;
    let locks = restic.repository().join("locks");
    // It waits for the rest of its input, and is killed meanwhile.
    let mut backup = restic.command(&["backup", "--stdin"]);
    let mut crashed = backup.stdin(Stdio::piped()).spawn()?;
    // Until it is whole, a lock has a longer name.
    let is_lock = |lock: io::Result<DirEntry>| lock.is_ok_and(|lock| lock.file_name().len() == 64);
    let is_locked = || fs::read_dir(&locks).is_ok_and(|mut locks| locks.any(is_lock));
    wait_until("it is locked", is_locked)?;
    let under_way = fixture.tthost.ok(&["unlock"])?;
    ensure!(under_way.text()?.contains("0 locks removed"));
    crashed.kill()?;
    crashed.wait()?;
    let prune = ["prune", "--keep-last", "1"];
    fixture.back_up()?;
    let words = ["in use by process", "`tthost unlock` removes"];
    fixture.tthost.fails(&prune, 11, &words)?;
    let unlocked = fixture.tthost.ok(&["unlock"])?;
    ensure!(unlocked.text()?.contains("1 lock removed"));
    fixture.tthost.ok(&prune)?;
    fixture.expect_sound(1)
}
