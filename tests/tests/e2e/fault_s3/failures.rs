//! Servers that fail, break off, or say nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fault_s3::{Fault, Operation};

use super::{Fixture, PREFIX};

#[test]
fn every_kind_of_request_is_sent_again_when_it_fails_at_first() -> Result<()> {
    let fixture = Fixture::new(|asked| match asked.number {
        1 => Fault::Status(503, "SlowDown"),
        2 => Fault::Status(500, "InternalError"),
        _ => Fault::Pass,
    })?;
    fixture.init()?;
    fixture.offsite.back_up("offsite")?;
    fixture.forget()?;
    fixture.check()?;
    fixture.restore()?;

    let requests = fixture.server.requests();
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
    fixture.expect_sound(1)
}

#[test]
fn packs_that_cannot_be_stored_fail_the_run_and_the_next_one_stores_them() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.server.set(|asked| {
        if asked.is(Operation::Put, "data") {
            Fault::Status(500, "InternalError")
        } else {
            Fault::Pass
        }
    });
    fixture
        .offsite
        .run("offsite")?
        .expect_failure(1, &["offsite", "InternalError"])?;
    fixture.expect_sound(0)?;
    fixture.server.set(|_| Fault::Pass);
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_is_late_keeps_nobody_waiting_and_gets_its_snapshot_afterwards() -> Result<()> {
    let fixture = Fixture::ready("required = false")?;
    fixture.offsite.init_local()?;
    let start = Instant::now();
    fixture.server.set(move |_| {
        if start.elapsed() < Duration::from_secs(4) {
            Fault::Status(503, "SlowDown")
        } else {
            Fault::Pass
        }
    });
    let source = format!("dir:{}", fixture.offsite.tree().display());
    let outcome = fixture.offsite.tthost.ok(&[
        "run", "--source", &source, "--sink", "offsite", "--sink", "local",
    ])?;
    let said = outcome.text()?;
    let stored = said.find("saved in local").context("it is not stored")?;
    let copied = said
        .find("copied from local to offsite")
        .context("it is not copied")?;
    ensure!(stored < copied, "{said}");
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_is_late_for_a_source_that_fails_is_closed_all_the_same() -> Result<()> {
    let fixture = Fixture::ready("required = false")?;
    fixture.offsite.init_local()?;
    let start = Instant::now();
    fixture.server.set(move |_| {
        if start.elapsed() < Duration::from_secs(4) {
            Fault::Status(503, "SlowDown")
        } else {
            Fault::Pass
        }
    });
    let source = format!("dir:{}", fixture.offsite.tree().display());
    let run = [
        "run",
        "--source",
        "dir:/nowhere",
        "--source",
        &source,
        "--sink",
        "offsite",
        "--sink",
        "local",
    ];
    fixture.offsite.tthost.fails(&run, 3, &["/nowhere"])?;
    ensure!(!fixture.has("locks")?, "a lock is left behind");
    fixture.expect_sound(1)
}

#[test]
fn answers_that_break_off_are_read_again() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.forget()?;
    fixture
        .server
        .set(|asked| match (asked.operation, asked.number % 3) {
            (Operation::Get | Operation::List, 1) => Fault::ResetMidBody(100),
            (Operation::Get | Operation::List, 2) => Fault::Truncate(100),
            _ => Fault::Pass,
        });
    fixture.restore()?;
    fixture.check()?;
    fixture.offsite.back_up("offsite")?;
    let requests = fixture.server.requests();
    ensure!(
        requests
            .iter()
            .any(|request| request.asked.part_from.is_some()),
        "no part of a pack was read"
    );
    fixture.expect_sound(2)
}

#[test]
fn requests_whose_answers_are_lost_are_done_once() -> Result<()> {
    let fixture = Fixture::new(|asked| match (asked.operation, asked.number) {
        (Operation::Put | Operation::Delete, 1) => Fault::LoseAnswer,
        _ => Fault::Pass,
    })?;
    fixture.init()?;
    fixture.offsite.back_up("offsite")?;
    ensure!(!fixture.has("locks")?, "a lock was left behind");
    fixture.expect_sound(1)?;
    fixture.check()
}

#[test]
fn a_server_that_says_nothing_holds_up_no_other_sink() -> Result<()> {
    let fixture = Fixture::ready("required = false\nlimits = { stall-timeout = \"5s\" }")?;
    let local = fixture.offsite.init_local()?;
    fixture.server.set(|asked| {
        if asked.is(Operation::Put, "data") {
            Fault::Stall
        } else {
            Fault::Pass
        }
    });
    let source = format!("dir:{}", fixture.offsite.tree().display());
    let run = [
        "run", "--source", &source, "--sink", "local", "--sink", "offsite",
    ];
    let start = Instant::now();
    fixture
        .offsite
        .tthost
        .fails(&run, 3, &["offsite", "made no progress for 5s"])?;
    let lasted = start.elapsed();
    ensure!(lasted < Duration::from_secs(30), "it lasted {lasted:?}");
    local.check()?;
    ensure!(local.snapshots()?.len() == 1);
    ensure!(!fixture.has("snapshots")?, "there is a snapshot offsite");

    fixture.server.set(|_| Fault::Pass);
    fixture.offsite.back_up("offsite")?;
    // Nobody could remove the lock of the run that was ended.
    for (key, _) in fixture.bucket.list(&format!("{PREFIX}/locks/"))? {
        ensure!(
            fixture.bucket.delete(&key)? == 204,
            "{key} cannot be removed"
        );
    }
    fixture.expect_sound(1)
}

#[test]
fn an_answer_that_trickles_is_given_up_and_asked_for_again() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.server.set(|asked| {
        if asked.is(Operation::List, "snapshots") && asked.number == 1 {
            Fault::Trickle(1)
        } else {
            Fault::Pass
        }
    });
    let start = Instant::now();
    fixture.offsite.back_up("offsite")?;
    // The answer would take some minutes; a server may be silent for one.
    let lasted = start.elapsed();
    ensure!(lasted < Duration::from_secs(100), "it lasted {lasted:?}");
    fixture.expect_sound(2)
}
