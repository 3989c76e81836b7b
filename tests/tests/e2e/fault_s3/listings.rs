//! Servers whose listings lag behind, or come in many pages.

use std::time::Duration;

use anyhow::{Result, ensure};
use tthost_tests::fault_s3::{Fault, Operation};

use super::Fixture;

/// Longer than a test lasts.
const ALWAYS: Duration = Duration::from_hours(1);

/// Backs up and checks while listings of these kinds lack what is new, and then looks at all of it.
fn lag(kinds: &'static [&'static str]) -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.server.set(move |asked| {
        if kinds.contains(&asked.kind()) {
            Fault::StaleListing(ALWAYS)
        } else {
            Fault::Pass
        }
    });
    fixture.offsite.back_up("offsite")?;
    fixture.check()?;
    fixture.offsite.fill("second", 2, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    fixture.check()?;
    fixture.server.set(|_| Fault::Pass);
    fixture.check()?;
    fixture.restore()?;
    fixture.expect_sound(2)
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
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.server.set(|asked| match asked.kind() {
        "snapshots" | "index" => Fault::StaleListing(ALWAYS),
        _ => Fault::Pass,
    });
    fixture.offsite.fill("second", 2, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    fixture.offsite.fill("second", 3, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    let prune = ["prune", "--sink", "offsite", "--keep-last", "2"];
    let told = fixture.offsite.tthost.ok(&prune)?;
    ensure!(told.text()?.contains("1 of 3 snapshots removed"));
    fixture.check()?;
    fixture.server.set(|_| Fault::Pass);
    fixture.expect_sound(2)
}

#[test]
fn nothing_is_pruned_after_listings_that_lag_behind() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.offsite.fill("second", 2, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    // Another machine, which has no copies of anything.
    fixture.forget()?;
    fixture.server.set(|asked| match asked.kind() {
        "locks" => Fault::StaleListing(ALWAYS),
        _ => Fault::Pass,
    });
    let prune = ["prune", "--sink", "offsite", "--keep-last", "1"];
    fixture.offsite.tthost.fails(&prune, 1, &["lag behind"])?;
    fixture.server.set(|_| Fault::Pass);
    ensure!(!fixture.has("locks")?, "the lock is still there");
    fixture.expect_sound(2)
}

#[test]
fn listings_of_many_pages_are_read_to_their_end() -> Result<()> {
    let fixture = Fixture::new(|_| Fault::Pages(3))?;
    fixture.init()?;
    for seed in 1..=5 {
        fixture.offsite.fill("second", seed, 1 << 16)?;
        fixture.offsite.back_up("offsite")?;
    }
    fixture.forget()?;
    let list = ["snapshots", "--sink", "offsite", "--json"];
    let listed = fixture.offsite.tthost.ok(&list)?.json()?;
    let snapshots = listed["snapshots"].as_array();
    ensure!(snapshots.map(Vec::len) == Some(5), "{listed:#}");
    fixture.check()?;
    fixture.restore()?;
    let requests = fixture.server.requests();
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
    fixture.expect_sound(5)
}

#[test]
fn a_listing_without_an_end_ends() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.server.set(|asked| match asked.kind() {
        "snapshots" => Fault::Endless,
        _ => Fault::Pass,
    });
    let snapshots = ["snapshots", "--sink", "offsite"];
    let words = ["snapshots", "goes round in circles"];
    fixture.offsite.tthost.fails(&snapshots, 1, &words)?;
    Ok(())
}
