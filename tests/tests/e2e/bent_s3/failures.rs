//! Servers that fail, break off, or say nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tthost_tests::bent_s3::{Bend, Operation};

use super::{PREFIX, Scene};

#[test]
fn every_kind_of_request_is_sent_again_when_it_fails_at_first() -> Result<()> {
    let scene = Scene::new(|asked| match asked.number {
        1 => Bend::Status(503, "SlowDown"),
        2 => Bend::Status(500, "InternalError"),
        _ => Bend::Pass,
    })?;
    scene.init()?;
    scene.depot.back_up("offsite")?;
    scene.forget()?;
    scene.check()?;
    scene.restore()?;

    let requests = scene.server.requests();
    for (position, failed) in requests.iter().enumerate() {
        let again = requests[position..].iter().any(|later| {
            later.asked.operation == failed.asked.operation
                && later.asked.key == failed.asked.key
                && later.status < Some(500)
        });
        ensure!(again, "not sent again: {failed:?}");
    }
    for (operation, kinds) in [
        (
            Operation::Put,
            &["config", "keys", "locks", "data", "index", "snapshots"][..],
        ),
        (
            Operation::Get,
            &["config", "keys", "data", "index", "snapshots"],
        ),
        (Operation::Delete, &["locks", "tthost-probe"]),
        (Operation::Head, &["tthost-probe"]),
        (Operation::List, &["tthost-probe"]),
    ] {
        for kind in kinds {
            ensure!(
                requests
                    .iter()
                    .any(|request| request.asked.is(operation, kind)),
                "no {operation:?} of {kind}"
            );
        }
    }
    scene.expect_sound(1)
}

#[test]
fn packs_that_cannot_be_stored_fail_the_run_and_the_next_one_stores_them() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.server.set(|asked| {
        if asked.is(Operation::Put, "data") {
            Bend::Status(500, "InternalError")
        } else {
            Bend::Pass
        }
    });
    scene
        .depot
        .run("offsite")?
        .expect_failure(1, &["offsite", "InternalError"])?;
    scene.expect_sound(0)?;
    scene.server.set(|_| Bend::Pass);
    scene.depot.back_up("offsite")?;
    scene.expect_sound(1)
}

#[test]
fn answers_that_break_off_are_read_again() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.forget()?;
    scene
        .server
        .set(|asked| match (asked.operation, asked.number % 3) {
            (Operation::Get | Operation::List, 1) => Bend::ResetMidBody(100),
            (Operation::Get | Operation::List, 2) => Bend::Truncate(100),
            _ => Bend::Pass,
        });
    scene.restore()?;
    scene.check()?;
    scene.depot.back_up("offsite")?;
    let requests = scene.server.requests();
    ensure!(
        requests.iter().any(|request| request.asked.partial),
        "no part of a pack was read"
    );
    scene.expect_sound(2)
}

#[test]
fn requests_whose_answers_are_lost_are_done_once() -> Result<()> {
    let scene = Scene::new(|asked| match (asked.operation, asked.number) {
        (Operation::Put | Operation::Delete, 1) => Bend::LoseAnswer,
        _ => Bend::Pass,
    })?;
    scene.init()?;
    scene.depot.back_up("offsite")?;
    ensure!(!scene.has("locks")?, "a lock was left behind");
    scene.expect_sound(1)?;
    scene.check()
}

#[test]
fn a_server_that_says_nothing_holds_up_no_other_sink() -> Result<()> {
    let scene = Scene::ready("required = false\nlimits = { stall-timeout = \"5s\" }")?;
    let local = scene.depot.init_local()?;
    scene.server.set(|asked| {
        if asked.is(Operation::Put, "data") {
            Bend::Stall
        } else {
            Bend::Pass
        }
    });
    let source = format!("dir:{}", scene.depot.tree().display());
    let run = [
        "run", "--source", &source, "--sink", "local", "--sink", "offsite",
    ];
    let start = Instant::now();
    scene
        .depot
        .tthost
        .fails(&run, 3, &["offsite", "made no progress for 5s"])?;
    let lasted = start.elapsed();
    ensure!(lasted < Duration::from_secs(30), "it lasted {lasted:?}");
    local.check()?;
    ensure!(local.snapshots()?.len() == 1);
    ensure!(!scene.has("snapshots")?, "there is a snapshot offsite");

    scene.server.set(|_| Bend::Pass);
    scene.depot.back_up("offsite")?;
    // Nobody could remove the lock of the run that was ended.
    for (key, _) in scene.bucket.list(&format!("{PREFIX}/locks/"))? {
        ensure!(scene.bucket.delete(&key)? == 204, "{key} cannot be removed");
    }
    scene.expect_sound(1)
}

#[test]
fn an_answer_that_trickles_is_given_up_and_asked_for_again() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.server.set(|asked| {
        if asked.is(Operation::List, "snapshots") && asked.number == 1 {
            Bend::Trickle(1)
        } else {
            Bend::Pass
        }
    });
    let start = Instant::now();
    scene.depot.back_up("offsite")?;
    // The answer would take some minutes; a server may be silent for one.
    let lasted = start.elapsed();
    ensure!(lasted < Duration::from_secs(100), "it lasted {lasted:?}");
    scene.expect_sound(2)
}
