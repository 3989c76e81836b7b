//! What goes wrong: sources that fail, locks, damage.

use std::fs;

use crate::native::Native;
use crate::support::{FILLS_A_PACK, NativeRepository, Pieces, draft, entry, sql};
use restic_repo::{
    Access, Completeness, Depth, Error, Kind, Repository, Selection, Severity, Subset, Usage,
};

#[tokio::test(flavor = "current_thread")]
async fn contents_without_a_good_verdict_leave_nothing_behind() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut writer = repository.begin(draft()).await.expect("it begins");
    writer
        .offer(vec![entry(1, 0, b"database.sql", Kind::File(None))])
        .await
        .expect("it is an entry");
    // Noise, so that packs are full before the verdict comes.
    let mut noise = vec![0; FILLS_A_PACK];
    restic_repo::Environment::random(&native.platform(), &mut noise);
    let failed = writer.put(1, Pieces::bad(&writer, noise)).await;
    assert!(
        matches!(&failed, Err(Error::Other(text)) if text.contains("exit code 1")),
        "{failed:?}"
    );
    assert!(
        writer.commit(Completeness::Complete).await.is_err(),
        "what is not whole cannot be committed"
    );
    repository.close().await.expect("it closes");
    for directory in ["data", "index", "snapshots", "locks"] {
        assert!(native.files(directory).is_empty(), "{directory}");
    }
    native.restic(&["check", "--read-data"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_writer_that_is_dropped_leaves_no_snapshot_and_no_packs() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut writer = repository.begin(draft()).await.expect("it begins");
    writer
        .offer(vec![entry(1, 0, b"database.sql", Kind::File(None))])
        .await
        .expect("it is an entry");
    let mut noise = vec![0; FILLS_A_PACK];
    restic_repo::Environment::random(&native.platform(), &mut noise);
    writer
        .put(1, Pieces::good(&writer, noise))
        .await
        .expect("it is stored");
    assert!(
        !native.files("data").is_empty(),
        "packs are written while contents come"
    );
    drop(writer);
    repository.close().await.expect("it closes");
    assert!(native.files("data").is_empty() && native.files("snapshots").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_dry_run_stores_nothing_and_counts_everything() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut draft = draft();
    draft.dry_run = true;
    let mut writer = repository.begin(draft).await.expect("it begins");
    writer
        .offer(vec![entry(1, 0, b"database.sql", Kind::File(None))])
        .await
        .expect("it is an entry");
    writer
        .put(1, Pieces::good(&writer, sql(5 << 20, 1)))
        .await
        .expect("it is read");
    let receipt = writer
        .commit(Completeness::Complete)
        .await
        .expect("it ends well");
    assert!(
        receipt.snapshot.is_none() && receipt.bytes_added >= 5 << 20,
        "{receipt:?}"
    );
    repository.close().await.expect("it closes");
    assert!(
        native.files("data").is_empty()
            && native.files("snapshots").is_empty()
            && native.files("index").is_empty()
    );
}

#[tokio::test(flavor = "current_thread")]
async fn an_exclusive_lock_is_honoured_until_it_is_stale() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    drop(repository);
    // Such locks only restic's own prune makes. Here it is made by hand with the same tools.
    let lock = exclusive_lock(&native, 1_700_000_000);
    let repository = native.open().await;
    let platform = native.platform();
    platform.set_time(1_700_000_060);
    let repository_then = Repository::open(
        platform.clone(),
        crate::support::caller(),
        crate::support::PASSWORD.as_bytes(),
    )
    .await
    .expect("it opens");
    let refused = repository_then.begin(draft()).await.map(drop);
    assert!(
        matches!(&refused, Err(Error::Locked(text)) if text.contains("root") && text.contains("4711")),
        "{refused:?}"
    );
    assert_eq!(
        native.files("locks").len(),
        1,
        "who is refused leaves no lock"
    );
    // Half an hour later nobody refreshed it.
    platform.set_time(1_700_000_000 + 31 * 60);
    repository_then
        .begin(draft())
        .await
        .map(drop)
        .expect("a stale lock holds nobody back");
    assert_eq!(native.files("locks").len(), 2);
    repository_then.close().await.expect("it closes");
    assert_eq!(native.files("locks"), [lock]);
    drop(repository);
}

/// Lets restic make a lock, by a backup that waits, and says that it is exclusive and old.
fn exclusive_lock(native: &NativeRepository, time: i64) -> std::path::PathBuf {
    let json = format!(
        "{{\"time\":\"{}\",\"exclusive\":true,\"hostname\":\"there\",\"username\":\"root\",\"pid\":4711,\"uid\":0,\"gid\":0}}",
        jiff_text(time)
    );
    let master = native.restic(&["cat", "masterkey"]);
    let master: serde_json::Value = serde_json::from_slice(&master).expect("it is JSON");
    let mut material = Vec::new();
    for text in [&master["encrypt"], &master["mac"]["k"], &master["mac"]["r"]] {
        let text = text.as_str().expect("it is text");
        material.extend(
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text)
                .expect("it is base64"),
        );
    }
    let key = tthost_seal::Key::from_material(material.as_slice().try_into().expect("it is a key"));
    let sealed = key.seal(json.as_bytes());
    let path = native
        .path()
        .join("locks")
        .join(hex::encode(tthost_seal::digest(&sealed)));
    fs::write(&path, sealed).expect("it can be written");
    path
}

fn jiff_text(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .expect("it is a time")
        .to_string()
}

#[tokio::test(flavor = "current_thread")]
async fn a_lock_that_cannot_be_read_keeps_a_prune_out_until_it_is_old() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let writer = repository.begin(draft()).await.expect("it begins");
    let stored = writer.commit(Completeness::Complete).await;
    stored.expect("it is committed");
    repository.close().await.expect("it closes");
    // Somebody has begun to write it, or died over that.
    let path = native.path().join("locks").join("1".repeat(64));
    fs::write(&path, "").expect("it can be written");
    let lock = fs::File::options().write(true).open(&path);
    let lock = lock.expect("it is there");
    let repository = native.open().await;
    let time = restic_repo::Environment::now(&native.platform()).seconds;
    for (age, is_free) in [(60, false), (31 * 60, true)] {
        let written = std::time::UNIX_EPOCH
            + std::time::Duration::from_secs(u64::try_from(time - age).expect("it is later"));
        lock.set_modified(written).expect("it is ours");
        match repository.reclaim().await {
            Ok(_) => assert!(is_free),
            Err(error) => assert!(!is_free && matches!(error, Error::Locked(_)), "{error}"),
        }
    }
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn a_lock_is_refreshed_and_given_up() {
    let native = NativeRepository::new();
    native.create().await.close().await.expect("it closes");
    let platform = native.platform();
    let start = 1_700_000_000;
    platform.set_time(start);
    let repository = Repository::open(
        platform.clone(),
        crate::support::caller(),
        crate::support::PASSWORD.as_bytes(),
    )
    .await
    .expect("it opens");
    let writer = repository.begin(draft()).await.expect("it begins");
    let before = native.files("locks");
    assert_eq!(before.len(), 1);
    keep_lock_until(&repository, &platform, start + 4 * 60).await;
    assert_eq!(
        native.files("locks"),
        before,
        "four minutes later it is fresh enough"
    );
    keep_lock_until(&repository, &platform, start + 6 * 60).await;
    let after = native.files("locks");
    assert!(after.len() == 1 && after != before, "{after:?}");
    drop(writer);
    repository.close().await.expect("it closes");
    assert!(native.files("locks").is_empty());
}

/// Keeps the lock fresh until this time on the platform's clock.
async fn keep_lock_until(repository: &Repository<Native>, platform: &Native, end: i64) {
    let time = async {
        while platform.time() < Some(end) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        // Otherwise the clock goes on now and then before it is looked at.
        biased;
        () = time => {}
        () = repository.keep_lock() => panic!("the repository is open"),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_backup_whose_lock_was_lost_stores_no_snapshot() {
    for lose in [
        |native: &NativeRepository, _: &Native| {
            for lock in native.files("locks") {
                fs::remove_file(native.path().join("locks").join(lock)).expect("it is there");
            }
        },
        // As a machine does that sleeps meanwhile.
        |_: &NativeRepository, platform: &Native| platform.set_time(1_700_000_000 + 31 * 60),
    ] {
        let native = NativeRepository::new();
        native.create().await.close().await.expect("it closes");
        let platform = native.platform();
        platform.set_time(1_700_000_000);
        let repository = native.open_on(platform.clone()).await;
        let writer = repository.begin(draft()).await.expect("it begins");
        lose(&native, &platform);
        let error = writer
            .commit(Completeness::Complete)
            .await
            .expect_err("somebody may have pruned");
        assert!(
            matches!(&error, Error::Unavailable(text) if text.contains("its lock was removed")),
            "{error}"
        );
        repository.close().await.expect("it closes");
        assert!(native.files("snapshots").is_empty());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_lock_of_a_process_that_died_on_this_machine_holds_nobody_back() {
    let native = NativeRepository::new();
    let first = native.create().await;
    let writer = first.begin(draft()).await.expect("it begins");
    let committed = writer.commit(Completeness::Complete).await;
    committed.expect("it is committed");
    first.close().await.expect("it closes");
    let platform = native.platform();
    let killed = native.open_on(platform.clone()).await;
    let writer = killed.begin(draft()).await.expect("it begins");
    std::mem::forget((writer, killed));
    assert_eq!(native.files("locks").len(), 1);

    let other = native.open_on(platform.clone()).await;
    let refused = other.reclaim().await.expect_err("somebody is at work");
    assert!(matches!(refused, Error::Locked(_)), "{refused}");
    other.close().await.expect("it closes");
    assert_eq!(native.files("locks").len(), 1, "it is not known to be dead");

    platform.die();
    let next = native.open_on(platform.clone()).await;
    assert!(native.files("locks").is_empty());
    next.reclaim().await.expect("nobody is at work");
    next.close().await.expect("it closes");
    assert!(native.files("locks").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn the_lock_of_a_prune_that_died_on_this_machine_keeps_no_reader_out() {
    let native = NativeRepository::new();
    native.create().await.close().await.expect("it closes");
    let platform = native.platform();
    let killed = native.open_on(platform.clone()).await;
    killed.reclaim().await.expect("there is nothing to do");
    std::mem::forget(killed);
    let reader = platform.clone().with(Access::ReadOnly);
    let repository = native.open_on(reader.clone()).await;
    let refused = repository.check(Depth::Structure).await;
    assert!(matches!(refused, Err(Error::Locked(_))), "{refused:?}");
    platform.die();
    let repository = native.open_on(reader).await;
    let checked = repository.check(Depth::Structure).await;
    checked.expect("nobody is at work");
    assert_eq!(native.files("locks").len(), 1, "a reader removes nothing");
}

#[tokio::test(flavor = "current_thread")]
async fn making_a_repository_can_be_repeated_wherever_it_was_cut_off() {
    let mut cut_off = 0;
    for changes in 0.. {
        let native = NativeRepository::new();
        fs::create_dir(native.path()).expect("it is not there yet");
        let platform = native.platform();
        platform.fail_after(changes);
        let create = async |password: &str| {
            let bytes = password.as_bytes();
            Repository::create(native.platform(), crate::support::caller(), bytes).await
        };
        let first = Repository::create(
            platform,
            crate::support::caller(),
            crate::support::PASSWORD.as_bytes(),
        );
        if first.await.is_ok() {
            break;
        }
        cut_off += 1;
        if !native.files("keys").is_empty() {
            let error = create("another").await.err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("begun here with another password"), "{text}");
        }
        let repeated = create(crate::support::PASSWORD).await;
        repeated
            .expect("it goes on")
            .close()
            .await
            .expect("it closes");
        assert_eq!(native.files("keys").len(), 1);
        native.open().await.close().await.expect("it closes");
    }
    assert_eq!(cut_off, 2, "the key and the config are stored one by one");
}

#[tokio::test(flavor = "current_thread")]
async fn damage_is_found_and_never_given_out() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut writer = repository.begin(draft()).await.expect("it begins");
    writer
        .offer(vec![entry(1, 0, b"database.sql", Kind::File(None))])
        .await
        .expect("it is an entry");
    writer
        .put(1, Pieces::good(&writer, sql(4 << 20, 3)))
        .await
        .expect("it is stored");
    let id = writer
        .commit(Completeness::Complete)
        .await
        .expect("it is committed")
        .snapshot
        .expect("there is a snapshot")
        .to_string();
    repository.close().await.expect("it closes");

    let pack = native.largest_pack();
    let sound = fs::read(&pack).expect("it can be read");
    let mut damaged = sound.clone();
    damaged[1000] ^= 1;
    fs::write(&pack, &damaged).expect("it can be written");
    let repository = native.open().await;
    let structure = repository
        .check(Depth::Structure)
        .await
        .expect("it can be checked");
    assert_eq!(
        structure.findings,
        [],
        "one changed byte does not show in the structure"
    );
    let data = repository
        .check(Depth::Data(Subset::ALL))
        .await
        .expect("it can be checked");
    let path = Some(b"/database.sql".to_vec());
    let names_it = data.findings.iter().any(|finding| finding.path == path);
    assert!(names_it, "{:?}", data.findings);
    let selection = Selection {
        snapshot: id,
        paths: Vec::new(),
        levels: None,
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await.expect("the tree is whole");
    let entries = reader.next(10).await.expect("the tree is whole");
    let read = reader.read_small(&[entries[0].id]).await;
    assert!(
        matches!(read, Err(Error::Corrupt(_))),
        "damaged contents are given out"
    );
    drop(reader);
    repository.close().await.expect("it closes");

    for (contents, complaint) in [
        (Some(&sound[..sound.len() - 1]), "the index says"),
        (None, "is missing"),
    ] {
        match contents {
            Some(contents) => fs::write(&pack, contents),
            None => fs::remove_file(&pack),
        }
        .expect("it can be changed");
        let repository = native.open().await;
        let findings = repository
            .check(Depth::Structure)
            .await
            .expect("it can be checked");
        assert!(
            findings
                .of(Severity::Error)
                .iter()
                .any(|error| error.contains(complaint)),
            "{:?}",
            findings.findings
        );
        repository.close().await.expect("it closes");
    }
    fs::write(&pack, &sound).expect("it can be written");

    for directory in ["index", "snapshots"] {
        let path = native.files(directory).remove(0);
        let sound = fs::read(&path).expect("it can be read");
        fs::write(&path, &sound[..sound.len() / 2]).expect("it can be written");
        let repository = native.open().await;
        let findings = repository
            .check(Depth::Structure)
            .await
            .expect("it can be checked");
        assert!(
            !findings.of(Severity::Error).is_empty(),
            "half of the {directory} is gone"
        );
        repository.close().await.expect("it closes");
        fs::write(&path, &sound).expect("it can be written");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn parts_of_a_repository_are_checked_and_together_are_all_of_it() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut writer = repository.begin(draft()).await.expect("it begins");
    let file = entry(1, 0, b"database.sql", Kind::File(None));
    writer.offer(vec![file]).await.expect("it is an entry");
    let put = writer.put(1, Pieces::good(&writer, sql(3 << 20, 1)));
    put.await.expect("it is stored");
    let committed = writer.commit(Completeness::Complete);
    committed.await.expect("it is committed");
    repository.close().await.expect("it closes");
    let pack = native.largest_pack();
    let mut damaged = fs::read(&pack).expect("it can be read");
    damaged[10] ^= 1;
    fs::write(&pack, &damaged).expect("it can be written");
    let repository = native.open().await;
    let mut errors = 0;
    let mut bytes = 0;
    let middle = u32::MAX / 2;
    for (first, last) in [(0, middle), (middle + 1, u32::MAX)] {
        let half = Subset { first, last };
        let checked = repository.check(Depth::Data(half)).await;
        let findings = checked.expect("it can be checked");
        let usage = repository.usage(half).await.expect("it can be listed");
        errors += usize::from(!findings.findings.is_empty());
        bytes += usage.bytes;
        if findings.findings.is_empty() {
            assert_eq!(findings.bytes_read, usage.bytes);
        }
    }
    assert_eq!(errors, 1, "it is in one half");
    let all = repository.usage(Subset::ALL).await;
    let packs = native.files("data").len() as u64;
    assert_eq!(all.expect("it can be listed"), Usage { packs, bytes });
}

#[tokio::test(flavor = "current_thread")]
async fn a_lock_that_was_stored_in_spite_of_an_error_is_removed_by_the_next_process() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    repository.close().await.expect("it closes");
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    platform.lose_answers(true);
    let begun = repository.begin(draft()).await.map(drop);
    assert!(matches!(begun, Err(Error::Unavailable(_))), "{begun:?}");
    platform.lose_answers(false);
    repository.close().await.expect("it closes");
    assert_eq!(native.files("locks").len(), 1, "it does not know of it");
    platform.die();
    let next = native.open_on(platform).await;
    assert!(native.files("locks").is_empty(), "the lock is still there");
    next.close().await.expect("it closes");
}
