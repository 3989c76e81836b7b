//! Servers whose answers are not true: garbled contents, objects that were never stored, entity
//! tags of something else.

use std::fs;

use anyhow::{Result, ensure};
use tthost_tests::bent_s3::{Bend, Operation};

use super::Scene;

#[test]
fn what_is_garbled_on_its_way_there_is_stored_again() -> Result<()> {
    let scene = Scene::new(|asked| match (asked.operation, asked.number) {
        (Operation::Put, 1) => Bend::GarbleUpload,
        _ => Bend::Pass,
    })?;
    scene.init()?;
    scene.depot.back_up("offsite")?;
    let requests = scene.server.requests();
    let puts = requests
        .iter()
        .filter(|request| request.asked.operation == Operation::Put);
    let mut garbled = 0;
    for put in puts {
        ensure!(put.digested, "without Content-MD5: {put:?}");
        garbled += usize::from(put.status == Some(400));
    }
    ensure!(garbled >= 6, "only {garbled} were garbled");
    scene.expect_sound(1)
}

#[test]
fn what_is_garbled_on_its_way_back_is_read_again() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.forget()?;
    scene.server.set(
        |asked| match (asked.operation, asked.kind(), asked.number) {
            (Operation::Get, "index" | "keys" | "snapshots", 1) => Bend::Garble,
            _ => Bend::Pass,
        },
    );
    scene.restore()?;
    scene.check()?;
    for kind in ["index", "keys", "snapshots"] {
        let requests = scene.server.requests();
        let reads = requests
            .iter()
            .filter(|request| request.asked.is(Operation::Get, kind));
        ensure!(reads.count() >= 2, "{kind} was not read again");
    }
    scene.expect_sound(1)
}

#[test]
fn nothing_wrong_is_restored_from_packs_that_are_always_garbled() -> Result<()> {
    let scene = Scene::ready("")?;
    scene.depot.back_up("offsite")?;
    scene.server.set(|asked| {
        if asked.is(Operation::Get, "data") {
            Bend::Garble
        } else {
            Bend::Pass
        }
    });
    let target = tempfile::tempdir()?;
    let to = target.path().to_string_lossy();
    let restore = ["restore", "latest", "--sink", "offsite", "--to", &to];
    scene.depot.tthost.fails(&restore, 1, &["damaged"])?;
    let tree = scene.depot.tree();
    let restored = target.path().join(tree.strip_prefix("/")?);
    for name in ["readme", "first"] {
        if let Ok(contents) = fs::read(restored.join(name)) {
            ensure!(
                contents == fs::read(tree.join(name))?,
                "{name} was restored with other contents"
            );
        }
    }
    let check = ["check", "--sink", "offsite", "--read-data"];
    scene.depot.tthost.fails(&check, 1, &[])?;
    scene.expect_sound(1)
}

/// Loses what a run stores of this kind, which has to fail it and to leave no snapshot; the next
/// run has to make up for it.
fn lose(kind: &'static str) -> Result<()> {
    let scene = Scene::ready("")?;
    scene.server.set(move |asked| {
        if asked.is(Operation::Put, kind) {
            Bend::LoseObject
        } else {
            Bend::Pass
        }
    });
    scene
        .depot
        .run("offsite")?
        .expect_failure(1, &["offsite", "was stored and is not there"])?;
    ensure!(!scene.has("snapshots")?, "there is a snapshot");
    scene.server.set(|_| Bend::Pass);
    scene.depot.back_up("offsite")?;
    scene.check()?;
    scene.restore()?;
    scene.expect_sound(1)
}

#[test]
fn a_pack_that_was_never_stored_in_spite_of_its_answer_fails_the_run() -> Result<()> {
    lose("data")
}

#[test]
fn an_index_that_was_never_stored_in_spite_of_its_answer_fails_the_run() -> Result<()> {
    lose("index")
}

#[test]
fn a_snapshot_that_was_never_stored_in_spite_of_its_answer_fails_the_run() -> Result<()> {
    lose("snapshots")
}

#[test]
fn nothing_depends_on_entity_tags() -> Result<()> {
    let scene = Scene::new(|_| Bend::LyingEtag)?;
    scene.init()?;
    scene.depot.back_up("offsite")?;
    scene.depot.fill("second", 2, 1 << 20)?;
    scene.depot.back_up("offsite")?;
    scene.forget()?;
    scene.check()?;
    scene.restore()?;
    scene.expect_sound(2)
}
