//! Repositories for those who may not do everything.

use std::fs;
use std::path::PathBuf;

use crate::native::Native;
use crate::support::{NativeRepository, Pieces, draft, entry, sql};
use restic_repo::{
    Access, Completeness, Depth, Error, Kind, Receipt, Repository, Result, Selection, Severity,
    Snapshot, Subset, Writer,
};

/// A writer that has taken a dump, and can be committed.
async fn begun(repository: &Repository<Native>, contents: Vec<u8>) -> Writer<Native> {
    let mut writer = repository.begin(draft()).await.expect("it begins");
    let entries = vec![entry(1, 0, b"database.sql", Kind::File(None))];
    writer.offer(entries).await.expect("it is an entry");
    let contents = Pieces::good(&writer, contents);
    writer.put(1, contents).await.expect("it is stored");
    writer
}

async fn back_up(repository: &Repository<Native>, contents: Vec<u8>) -> Result<Receipt> {
    begun(repository, contents)
        .await
        .commit(Completeness::Complete)
        .await
}

fn packs(native: &NativeRepository) -> Vec<PathBuf> {
    native.files("data")
}

#[tokio::test(flavor = "current_thread")]
async fn without_the_right_to_delete_no_lock_is_put() {
    let native = NativeRepository::new();
    drop(native.create().await);
    let repository = native.open_with(Access::AppendOnly).await;
    let writer = begun(&repository, sql(2 << 20, 1)).await;
    assert!(native.files("locks").is_empty());
    let receipt = writer.commit(Completeness::Complete).await;
    receipt.expect("it is committed");
    repository.close().await.expect("it closes");
    // For which it has to have the repository to itself.
    native.restic(&["check", "--read-data"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_pack_that_vanishes_meanwhile_keeps_the_snapshot_from_being_made() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    back_up(&repository, sql(1 << 20, 1))
        .await
        .expect("it is committed");
    repository.close().await.expect("it closes");
    let repository = native.open_with(Access::AppendOnly).await;
    let writer = begun(&repository, sql(1 << 20, 2)).await;
    fs::remove_file(&packs(&native)[0]).expect("it can be removed");
    let failed = writer.commit(Completeness::Complete).await;
    assert!(
        matches!(&failed, Err(Error::Unavailable(text)) if text.contains("was removed while")),
        "{failed:?}"
    );
    assert_eq!(native.files("snapshots").len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_in_a_pack_that_is_gone_is_stored_again_and_found_there() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let contents = sql(3 << 20, 1);
    back_up(&repository, contents.clone())
        .await
        .expect("it is committed");
    repository.close().await.expect("it closes");
    for pack in packs(&native) {
        fs::remove_file(pack).expect("it can be removed");
    }
    let repository = native.open_with(Access::AppendOnly).await;
    let receipt = back_up(&repository, contents.clone())
        .await
        .expect("it is committed");
    assert!(receipt.bytes_added >= 3 << 20, "{receipt:?}");

    let repository = native.open_with(Access::ReadOnly).await;
    let findings = repository
        .check(Depth::Data(Subset::ALL))
        .await
        .expect("it is checked");
    assert!(findings.of(Severity::Error).is_empty(), "{findings:?}");
    assert_eq!(findings.of(Severity::Warning).len(), 2, "{findings:?}");
    let snapshots = repository.snapshots().await.expect("they are listed");
    // The first one is whole again too.
    for snapshot in snapshots {
        let repository = native.open_with(Access::ReadOnly).await;
        let selection = Selection {
            snapshot: snapshot.id.to_string(),
            paths: Vec::new(),
            levels: None,
            skip_damaged: false,
        };
        let mut reader = repository.read(selection).await.expect("it is there");
        let entries = reader.next(9).await.expect("it has entries");
        let read = reader.read_small(&[entries[0].id]).await;
        assert!(read.expect("it can be read")[0].as_ref() == Some(&contents));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn who_cannot_look_counts_on_the_latest_snapshot_alone() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    for seed in [1, 2] {
        let mut draft = draft();
        draft.time.seconds += i64::try_from(seed).expect("it is small");
        let mut writer = repository.begin(draft).await.expect("it begins");
        let entries = vec![entry(1, 0, b"database.sql", Kind::File(None))];
        writer.offer(entries).await.expect("it is an entry");
        let contents = Pieces::good(&writer, sql(1 << 20, seed));
        writer.put(1, contents).await.expect("it is stored");
        let committed = writer.commit(Completeness::Complete).await;
        committed.expect("it is committed");
    }
    repository.close().await.expect("it closes");
    let added = async |seed| {
        let repository = native.open_with(Access::WriteOnly).await;
        let receipt = back_up(&repository, sql(1 << 20, seed)).await;
        receipt.expect("it is committed").bytes_added
    };
    assert_eq!(added(2).await, 0, "the latest snapshot has it");
    assert!(added(1).await >= 1 << 20, "somebody may have removed it");
    native.restic(&["check", "--read-data"]);
}

#[tokio::test(flavor = "current_thread")]
async fn who_may_only_read_begins_no_snapshot() {
    let native = NativeRepository::new();
    drop(native.create().await);
    let repository = native.open_with(Access::ReadOnly).await;
    let refused = repository.begin(draft()).await.map(drop);
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    assert!(native.files("locks").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_snapshot_is_read_once_however_often_all_are_listed() {
    let native = NativeRepository::new();
    drop(native.create().await);
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    for seed in 1..=3 {
        let stored = back_up(&repository, sql(1 << 10, seed)).await;
        stored.expect("it is committed");
    }
    let listed = repository.snapshots().await.expect("they are listed");
    let before = platform.whole();
    let again = repository.snapshots().await.expect("they are listed");
    assert_eq!(platform.whole(), before);
    let ids = |snapshots: &[Snapshot]| snapshots.iter().map(|found| found.id).collect::<Vec<_>>();
    assert_eq!(ids(&listed), ids(&again));
    // What is gone is not listed for that.
    repository.forget(&[listed[0].id]).await.expect("it goes");
    let left = repository.snapshots().await.expect("they are listed");
    assert_eq!(ids(&left), ids(&listed[1..]));
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn keys_that_open_nothing_hide_no_other() {
    let native = NativeRepository::new();
    drop(native.create().await);
    for _ in 0..4 {
        // The same password, and another repository.
        let other = NativeRepository::new();
        drop(other.create().await);
        for key in other.files("keys") {
            let name = key.file_name().expect("it has one");
            fs::copy(&key, native.path().join("keys").join(name)).expect("there is room");
        }
    }
    let repository = native.open().await;
    repository.close().await.expect("it closes");
}
