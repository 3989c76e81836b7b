//! Servers whose answers are not true: garbled contents, objects that were never stored, entity
//! tags of something else.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fault_s3::{Fault, Operation};

use super::{Fixture, PREFIX};

#[test]
fn what_is_garbled_on_its_way_there_is_stored_again() -> Result<()> {
    let fixture = Fixture::new(|asked| match (asked.operation, asked.number) {
        (Operation::Put, 1) => Fault::GarbleUpload,
        _ => Fault::Pass,
    })?;
    fixture.init()?;
    fixture.offsite.back_up("offsite")?;
    let requests = fixture.server.requests();
    let puts = requests
        .iter()
        .filter(|request| request.asked.operation == Operation::Put);
    let mut garbled = 0;
    for put in puts {
        ensure!(put.digested, "without Content-MD5: {put:?}");
        garbled += usize::from(put.status == Some(400));
    }
    ensure!(garbled >= 6, "only {garbled} were garbled");
    fixture.expect_sound(1)
}

#[test]
fn what_is_garbled_on_its_way_back_is_read_again() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.forget()?;
    fixture.server.set(
        |asked| match (asked.operation, asked.kind(), asked.number) {
            (Operation::Get, "index" | "keys" | "snapshots", 1) => Fault::Garble,
            _ => Fault::Pass,
        },
    );
    fixture.restore()?;
    fixture.check()?;
    for kind in ["index", "keys", "snapshots"] {
        let requests = fixture.server.requests();
        let reads = requests
            .iter()
            .filter(|request| request.asked.is(Operation::Get, kind));
        ensure!(reads.count() >= 2, "{kind} was not read again");
    }
    fixture.expect_sound(1)
}

#[test]
fn nothing_wrong_is_restored_from_packs_that_are_always_garbled() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    fixture.server.set(|asked| {
        if asked.is(Operation::Get, "data") {
            Fault::Garble
        } else {
            Fault::Pass
        }
    });
    let target = tempfile::tempdir()?;
    let to = target.path().to_string_lossy();
    let restore = ["restore", "latest", "--sink", "offsite", "--to", &to];
    fixture
        .offsite
        .tthost
        .fails(&restore, 3, &["damaged", "left out"])?;
    let tree = fixture.offsite.tree();
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
    fixture.offsite.tthost.fails(&check, 1, &[])?;
    fixture.expect_sound(1)
}

#[test]
fn one_object_that_is_refused_is_damage_and_all_of_them_are_a_refusal() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    let mut packs = fixture.bucket.list(&format!("{PREFIX}/data/"))?;
    packs.sort_by_key(|(_, length)| *length);
    let (lost, _) = packs.pop().context("there is a pack")?;
    fixture.server.set(move |asked| {
        if asked.operation == Operation::Get && asked.key == lost {
            Fault::Status(403, "AccessDenied")
        } else {
            Fault::Pass
        }
    });
    let target = tempfile::tempdir()?;
    let to = target.path().to_string_lossy();
    let restore = ["restore", "latest", "--sink", "offsite", "--to", &to];
    let tthost = &fixture.offsite.tthost;
    tthost.fails(&restore, 3, &["AccessDenied", "left out"])?;
    let check = ["check", "--sink", "offsite", "--read-data"];
    tthost.fails(&check, 1, &["AccessDenied", "cannot be restored"])?;
    fixture.server.set(|asked| match asked.operation {
        Operation::Get => Fault::Status(403, "AccessDenied"),
        _ => Fault::Pass,
    });
    let refused = tthost.fails(&restore, 1, &["credentials"])?;
    ensure!(
        !refused.stderr.contains("left out"),
        "{}",
        refused.describe()
    );
    fixture.server.set(|_| Fault::Pass);
    fixture.expect_sound(1)
}

/// Loses what a run stores of this kind, which has to fail it and to leave no snapshot; the next
/// run has to make up for it.
fn lose(kind: &'static str) -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.server.set(move |asked| {
        if asked.is(Operation::Put, kind) {
            Fault::LoseObject
        } else {
            Fault::Pass
        }
    });
    fixture
        .offsite
        .run("offsite")?
        .expect_failure(1, &["offsite", "was stored and is not there"])?;
    ensure!(!fixture.has("snapshots")?, "there is a snapshot");
    fixture.server.set(|_| Fault::Pass);
    fixture.offsite.back_up("offsite")?;
    fixture.check()?;
    fixture.restore()?;
    fixture.expect_sound(1)
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
fn a_repository_that_was_never_stored_in_spite_of_its_answers_is_not_called_made() -> Result<()> {
    // As from a portal that stands between: its page comes with the status of success.
    for fault in [|| Fault::LoseObject, || Fault::Portal] {
        for (kind, name) in [("keys", "the key "), ("config", "the config was")] {
            let fixture = Fixture::new(move |asked| {
                let is_meant = asked.is(Operation::Put, kind);
                if is_meant { fault() } else { Fault::Pass }
            })?;
            let init = fixture.offsite.tthost.run(&["init", "--sink", "offsite"])?;
            init.expect_failure(1, &["offsite", name, "stored and is not there"])?;
            fixture.server.set(|_| Fault::Pass);
            fixture.init()?;
            fixture.offsite.back_up("offsite")?;
            fixture.expect_sound(1)?;
        }
    }
    Ok(())
}

#[test]
fn a_check_finds_what_is_damaged_in_the_bucket_though_this_machine_has_copies() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    let check = ["check", "--sink", "offsite"];
    fixture.offsite.tthost.ok(&check)?;
    let trees = fixture.copies()?.join("data");
    let mut packs = 0;
    for kind in ["keys", "index", "snapshots", "data"] {
        for (name, _) in fixture.bucket.list(&format!("{PREFIX}/{kind}/"))? {
            let file = name.rsplit('/').next().context("a name")?;
            // Only packs of trees have copies, and only those are read without --read-data.
            if kind == "data" && !trees.join(&file[..2]).join(file).exists() {
                continue;
            }
            packs += usize::from(kind == "data");
            let (_, whole) = fixture.bucket.get(&name)?;
            let mut rotten = whole.clone();
            rotten[whole.len() / 2] ^= 1;
            fixture.bucket.put(&name, &rotten)?;
            let found = fixture.offsite.tthost.run(&check)?;
            found.expect_failure(1, &["damaged"])?;
            fixture.bucket.put(&name, &whole)?;
        }
    }
    ensure!(packs > 0, "no pack of trees has a copy");
    fixture.offsite.tthost.ok(&check).map(drop)
}

#[test]
fn nobody_writes_to_a_repository_whose_key_is_gone_and_the_copy_of_it_stays() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    let keys = fixture.bucket.list(&format!("{PREFIX}/keys/"))?;
    let (key, _) = keys.first().context("there is a key")?;
    let (_, bytes) = fixture.bucket.get(key)?;
    fixture.bucket.delete(key)?;
    let run = fixture.offsite.run("offsite")?;
    run.expect_failure(
        1,
        &["offsite", "the repository has no key", "put that back"],
    )?;
    let name = key.rsplit('/').next().context("a name")?;
    let copy = fixture.copies()?.join("keys").join(name);
    ensure!(fs::read(copy)? == bytes, "the copy is another one");
    fixture.bucket.put(key, &bytes)?;
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(2)
}

#[test]
fn nothing_depends_on_entity_tags() -> Result<()> {
    let fixture = Fixture::new(|_| Fault::LyingEtag)?;
    fixture.init()?;
    fixture.offsite.back_up("offsite")?;
    fixture.offsite.fill("second", 2, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    fixture.forget()?;
    fixture.check()?;
    fixture.restore()?;
    fixture.expect_sound(2)
}
