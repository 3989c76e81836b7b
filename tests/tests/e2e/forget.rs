//! Snapshots that are removed by name, and those that no policy removes.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::command;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::restic::Restic;

/// The ids of all snapshots, the oldest first.
fn ids(restic: &Restic) -> Result<Vec<String>> {
    let snapshots = restic.snapshots()?;
    let id = |snapshot: &Value| snapshot["id"].as_str().map(str::to_owned);
    let ids = snapshots
        .iter()
        .map(|snapshot| id(snapshot).context("a snapshot without an id"));
    ids.collect()
}

fn forget<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["forget", "--sink", "local"], arguments].concat()
}

fn packs(restic: &Restic) -> Result<usize> {
    let mut packs = 0;
    for directory in fs::read_dir(restic.repository().join("data"))? {
        packs += fs::read_dir(directory?.path())?.count();
    }
    Ok(packs)
}

#[test]
fn a_snapshot_is_forgotten_by_its_id_and_its_data_stays_until_a_prune() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    for seed in 1..=3 {
        fixture.fill("first", seed, 1 << 20)?;
        fixture.back_up("local")?;
    }
    let before = ids(&restic)?;
    let stored = packs(&restic)?;
    let tthost = &fixture.tthost;
    let oldest = &before[0][..8];

    let text = tthost
        .ok(&forget(&[oldest, "--dry-run"]))?
        .text()?
        .to_owned();
    ensure!(
        text.contains("local: 1 of 1 snapshot would be removed\n"),
        "{text}"
    );
    for wrong in [&["0000"][..], &[oldest, "0000"]] {
        tthost.fails(&forget(wrong), 1, &["there is no snapshot 0000"])?;
    }
    tthost.fails(
        &forget(&[oldest, "--keep-last", "1"]),
        2,
        &["cannot be used with"],
    )?;
    ensure!(ids(&restic)? == before, "nothing was to be removed");

    tthost.ok(&forget(&[oldest]))?;
    ensure!(ids(&restic)? == before[1..] && packs(&restic)? == stored);
    restic.check()?;
    let report = tthost.ok(&forget(&["--keep-last", "1", "--prune", "--json"]))?;
    let freed = report.json()?["sinks"][0]["pruned"]["store"]["bytes_removed"].as_u64();
    ensure!(freed > Some(2 << 20), "{freed:?}");
    ensure!(ids(&restic)? == before[2..]);
    restic.check()?;

    // The last one goes as well, when it is named.
    tthost.ok(&forget(&[&before[2][..8], "--prune"]))?;
    ensure!(ids(&restic)?.is_empty() && packs(&restic)? == 0);
    restic.check()
}

#[test]
fn nothing_is_removed_where_the_newest_backup_is_empty_or_dated_in_the_future() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    fixture.back_up("local")?;
    for file in ["readme", "first"] {
        fs::remove_file(fixture.tree().join(file))?;
    }
    fixture.back_up("local")?;
    let prune = [
        "prune",
        "--sink",
        "local",
        "--keep-last",
        "1",
        "--group-by",
        "",
    ];
    let held = fixture.tthost.ok(&prune)?;
    ensure!(
        held.text()?.contains("local: 0 of 2 snapshots removed"),
        "{}",
        held.describe()
    );
    for words in [
        "nothing is removed of all snapshots: the newest snapshot is empty",
        "--force",
    ] {
        ensure!(held.stderr.contains(words), "{}", held.describe());
    }
    fixture.write("readme", b"it is back\n")?;
    let mut backup = restic.command(&["backup", "--time", "2099-01-01 00:00:00"]);
    command::run(backup.arg(fixture.tree()))?.success()?;
    let forced = fixture.tthost.ok(&[&prune[..], &["--force"]].concat())?;
    ensure!(
        forced.stderr.contains("is dated in the future"),
        "{}",
        forced.describe()
    );
    ensure!(
        forced.text()?.contains("local: 1 of 3 snapshots removed"),
        "{}",
        forced.describe()
    );

    // What is left: the empty one, and the one from the future under restic's name of this host.
    let list = |arguments: &[&str]| {
        let command = [&["snapshots", "--sink", "local"], arguments].concat();
        fixture.tthost.ok(&command)
    };
    fixture.back_up("local")?;
    let times = list(&["--latest", "1", "--json"])?.json()?;
    ensure!(
        times["snapshots"].as_array().map(Vec::len) == Some(1),
        "one host, one path: {times:#}"
    );
    let groups = list(&["--group-by", "tags", "--json"])?.json()?;
    let sizes: Vec<_> = groups["groups"]
        .as_array()
        .context("it lists groups")?
        .iter()
        .map(|group| {
            (
                &group["group_key"]["tags"],
                group["snapshots"].as_array().map(Vec::len),
            )
        })
        .collect();
    let source = format!("dir:{}", fixture.tree().display());
    ensure!(
        sizes
            == [
                (&serde_json::json!([]), Some(1)),
                (&serde_json::json!([source]), Some(2))
            ],
        "{groups:#}"
    );
    let id = &ids(&restic)?[0];
    let one = list(&[&id[..10], "--compact"])?;
    let text = one.text()?;
    ensure!(text.contains(&id[..8]) && text.contains("1 snapshot\n") && !text.contains("PATHS"));
    Ok(())
}

#[test]
fn a_source_has_a_policy_and_a_grouping_of_its_own() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    // As a script left them, which ran restic in a container: another host name each time.
    for day in 1..=4 {
        for tag in ["uploads", "other"] {
            let time = format!("2026-01-0{day} 00:00:00");
            let host = format!("container-{day}");
            let arguments = ["backup", "--time", &time, "--host", &host, "--tag", tag];
            let mut backup = restic.command(&arguments);
            command::run(backup.arg(fixture.tree()))?.success()?;
        }
    }
    let path = fixture.tthost.home().join("tthost.toml");
    let configured = fs::read_to_string(&path)?;
    let source = "[sources.uploads]\nplugin = \"volume-source\"\n\
        grants.trees.files = { path = \"/srv\" }\n\
        retention = { keep-last = 1, keep-within-daily = \"2d\", group-by = [] }\n\
        [retention]\nkeep-last = \"unlimited\"\n";
    fs::write(&path, configured + source)?;
    let text = fixture
        .tthost
        .ok(&["prune", "--sink", "local"])?
        .text()?
        .to_owned();
    ensure!(text.contains("local: 2 of 8 snapshots removed"), "{text}");
    ensure!(text.contains("last, within-daily\n"), "{text}");
    restic.check()
}
