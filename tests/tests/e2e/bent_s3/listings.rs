//! Servers whose listings lag behind, or come in many pages.

use std::time::Duration;

use anyhow::{Result, ensure};
use tthost_tests::bent_s3::{Bend, Operation};

use super::Scene;

/// Longer than a test lasts.
const ALWAYS: Duration = Duration::from_hours(1);

/// Backs up and checks while listings of these kinds lack what is new, and then looks at all of it.
fn lag(kinds: &'static [&'static str]) -> Result<()> {
    let scene = Scene::ready("")?;
    scene.server.set(move |asked| {
        if kinds.contains(&asked.kind()) {
            Bend::StaleListing(ALWAYS)
        } else {
            Bend::Pass
        }
    });
    scene.depot.back_up("offsite")?;
    scene.check()?;
    scene.depot.fill("second", 2, 1 << 20)?;
    scene.depot.back_up("offsite")?;
    scene.check()?;
    scene.server.set(|_| Bend::Pass);
    scene.check()?;
    scene.restore()?;
    scene.expect_sound(2)
}

#[test]
fn packs_that_are_not_listed_yet_are_not_called_missing() -> Result<()> {
    lag(&["data"])
}

#[test]
fn indexes_and_snapshots_that_are_not_listed_yet_are_not_lost() -> Result<()> {
    lag(&["data", "index", "snapshots"])
}

#[test]
fn a_prune_removes_no_snapshot_that_is_not_listed_yet() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.server.set(|asked| match asked.kind() {
        "snapshots" | "index" => Bend::StaleListing(ALWAYS),
        _ => Bend::Pass,
    });
    scene.depot.fill("second", 2, 1 << 20)?;
    scene.depot.back_up("offsite")?;
    scene.depot.fill("second", 3, 1 << 20)?;
    scene.depot.back_up("offsite")?;
    let prune = ["prune", "--sink", "offsite", "--keep-last", "2"];
    let told = scene.depot.tthost.ok(&prune)?;
    ensure!(told.text()?.contains("1 of 3 snapshots removed"));
    scene.check()?;
    scene.server.set(|_| Bend::Pass);
    scene.expect_sound(2)
}

#[test]
fn nothing_is_pruned_after_listings_that_lag_behind() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.depot.fill("second", 2, 1 << 20)?;
    scene.depot.back_up("offsite")?;
    // Another machine, which has no copies of anything.
    scene.forget()?;
    scene.server.set(|asked| match asked.kind() {
        "locks" => Bend::StaleListing(ALWAYS),
        _ => Bend::Pass,
    });
    let prune = ["prune", "--sink", "offsite", "--keep-last", "1"];
    scene.depot.tthost.fails(&prune, 1, &["lag behind"])?;
    scene.server.set(|_| Bend::Pass);
    ensure!(!scene.has("locks")?, "the lock is still there");
    scene.expect_sound(2)
}

#[test]
fn listings_of_many_pages_are_read_to_their_end() -> Result<()> {
    let scene = Scene::new(|_| Bend::Pages(3))?;
    scene.init()?;
    for seed in 1..=5 {
        scene.depot.fill("second", seed, 1 << 16)?;
        scene.depot.back_up("offsite")?;
    }
    scene.forget()?;
    let list = ["snapshots", "--sink", "offsite", "--json"];
    let listed = scene.depot.tthost.ok(&list)?.json()?;
    ensure!(listed.as_array().map(Vec::len) == Some(5), "{listed:#}");
    scene.check()?;
    scene.restore()?;
    let requests = scene.server.requests();
    let continued = |kind: &str| {
        requests.iter().any(|request| {
            request.asked.is(Operation::List, kind)
                && request.asked.query.contains("continuation-token=")
        })
    };
    // The kind of a listing is the directory that is listed.
    for kind in ["data", "index", "snapshots"] {
        ensure!(continued(kind), "the listing of {kind} had one page");
    }
    scene.expect_sound(5)
}
