//! Checks of a part of a repository, and of one that cannot be written to.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::offsite::OffsiteFixture;

fn check(fixture: &OffsiteFixture, options: &[&str]) -> Result<Value> {
    let command = [&["check", "--sink", "local", "--json"], options].concat();
    fixture.tthost.ok(&command)?.json()
}

fn bytes_read(report: &Value) -> Result<u64> {
    report["bytes_read"].as_u64().context("no number of bytes")
}

#[test]
fn parts_of_a_repository_are_read_until_all_of_it_was_read() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    // Each of these backups stores packs of its own.
    for seed in 1..=6 {
        fixture.fill("first", seed, 200_000)?;
        fixture.back_up("local")?;
    }
    let all = check(&fixture, &["--read-data"])?;
    let stored = bytes_read(&all)?;
    ensure!(
        stored > 1_200_000 && all["cost"]["stored"]["bytes"] == stored,
        "{all:#}"
    );

    let mut halves = 0;
    for half in ["1/2", "2/2"] {
        let report = check(&fixture, &["--read-data-subset", half])?;
        ensure!(
            report["cost"]["reading"]["bytes"] == report["bytes_read"],
            "{report:#}"
        );
        halves += bytes_read(&report)?;
    }
    ensure!(halves == stored, "{halves} and {stored}");
    for random in ["100%", "100G"] {
        let report = check(&fixture, &["--read-data-subset", random])?;
        ensure!(bytes_read(&report)? == stored, "{random}: {report:#}");
    }
    let some = check(&fixture, &["--read-data-subset", "300K"])?;
    ensure!(bytes_read(&some)? < stored, "{some:#}");

    // A rotation goes on where the last check ended, and one in four finds the damage.
    let mut packs = Vec::new();
    for directory in fs::read_dir(restic.repository().join("data"))? {
        for pack in fs::read_dir(directory?.path())? {
            packs.push(pack?.path());
        }
    }
    // The largest one has contents and no trees, which every check reads.
    packs.sort_by_key(|pack| pack.metadata().map_or(0, |found| found.len()));
    let damaged = packs.last().context("there are packs")?;
    let sound = fs::read(damaged)?;
    let mut contents = sound.clone();
    contents[100] ^= 1;
    fs::write(damaged, contents)?;
    let mut found = Vec::new();
    let rotate = ["verify", "--sink", "local", "--rotate", "4"];
    for _ in 0..4 {
        let outcome = fixture.tthost.run(&rotate)?;
        ensure!(
            outcome.text()?.contains("local: reading back "),
            "{}",
            outcome.describe()
        );
        found.push(outcome.status.code());
    }
    found.sort_unstable();
    ensure!(found == [Some(0), Some(0), Some(0), Some(1)], "{found:?}");
    let state = fixture.tthost.home().join("state/rotation");
    let names: BTreeSet<_> = fs::read_dir(state)?
        .map(|file| Ok(file?.file_name()))
        .collect::<Result<_>>()?;
    ensure!(names.len() == 1, "{names:?}");

    let both = ["check", "--sink", "local", "--read-data", "--rotate", "4"];
    fixture.tthost.fails(&both, 2, &["cannot be used with"])?;
    let wrong = ["check", "--sink", "local", "--read-data-subset", "3/2"];
    fixture.tthost.fails(&wrong, 2, &["the first is 1/2"])?;
    Ok(())
}

#[test]
fn a_repository_that_can_only_be_read_is_checked_and_restored_without_a_lock() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let restic = fixture.init_local()?;
    fixture.back_up("local")?;
    let path = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replace("read-write", "read-only"))?;
    check(&fixture, &["--read-data"])?;
    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    let restore = ["restore", "latest", "--sink", "local", "--to", &to];
    fixture.tthost.ok(&restore)?;
    fixture.expect_restored(&target)?;
    fixture
        .run("local")?
        .expect_failure(1, &["the grant is read-only"])?;
    restic.check()
}
