//! What rustic writes into the configuration of a repository is kept to, or refused by its name.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::rustic::Rustic;

use crate::tree_fixture::{PASSWORD, TreeFixture};

/// A tree with files of all sizes, and an empty repository that rustic has made with these options.
fn fixture(options: &[&str]) -> Result<(TreeFixture, Rustic)> {
    let fixture = TreeFixture::new()?;
    let repository = fixture.path("repository");
    fs::remove_dir_all(&repository)?;
    let rustic = Rustic::at(repository, PASSWORD)?;
    rustic.init_with(options)?;
    for (name, size) in [
        ("small", 30_000),
        ("middling", 300_000),
        ("large", 5_000_000),
    ] {
        fs::write(fixture.path("tree").join(name), noise(size))?;
    }
    Ok((fixture, rustic))
}

fn noise(size: u64) -> Vec<u8> {
    let mut state = size;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes
        .take(usize::try_from(size).unwrap_or_default())
        .map(|word| word[0])
        .collect()
}

#[test]
fn files_are_cut_as_rustic_cuts_them() -> Result<()> {
    let rabin = [
        "--set-chunk-size=128KiB",
        "--set-chunk-min-size=64KiB",
        "--set-chunk-max-size=512KiB",
    ];
    let fixed = ["--set-chunker=fixed_size", "--set-chunk-size=20000B"];
    for options in [&rabin[..], &fixed, &[]] {
        let (fixture, rustic) = fixture(options)?;
        rustic.backup(&fixture.path("tree"))?;
        let stored = fixture.back_up(&[])?["sinks"][0]["summary"].clone();
        let added = stored["data_added"].as_u64().context("it is told")?;
        // Directories only: rustic has other metadata.
        ensure!(added < 20_000, "{options:?}: {stored}");
        rustic.check()?;
        fixture.restic.check()?;
    }
    Ok(())
}

#[test]
fn nothing_is_removed_from_a_repository_that_is_append_only() -> Result<()> {
    let (fixture, rustic) = fixture(&["--set-append-only=true", "--set-compression=0"])?;
    for _ in 0..2 {
        fixture.back_up(&[])?;
    }
    let before = fixture.restic.snapshots()?.len();
    for command in [
        &["prune", "--keep-last", "1"][..],
        &["prune", "--keep-last", "10"],
        &["forget", "latest"],
    ] {
        fixture.tthost.fails(command, 1, &["append_only"])?;
    }
    ensure!(fixture.restic.snapshots()?.len() == before);
    rustic.check()
}

#[test]
fn the_hot_part_of_a_repository_is_not_taken_for_the_whole() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let cold = Rustic::at(fixture.path("cold"), PASSWORD)?;
    let hot = fixture.path("hot").display().to_string();
    cold.init_with(&["--repo-hot", &hot])?;
    let mut tthost = fixture.tthost;
    tthost.set([("RESTIC_REPOSITORY", &hot)]);
    tthost.fails(&["snapshots"], 1, &["is_hot", "cold part"])?;
    tthost.set([("RESTIC_REPOSITORY", cold.repository())]);
    tthost.ok(&["snapshots"]).map(drop)
}
