//! Servers whose listings lag behind, or come in many pages.

use std::time::Duration;

use anyhow::{Result, ensure};
use tthost_tests::bent_s3::{Bend, Operation};

use crate::Scene;

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
