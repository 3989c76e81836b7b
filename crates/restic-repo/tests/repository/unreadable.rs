//! What cannot be read is lost by itself, as long as the rest can be read.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use restic_repo::{Completeness, Depth, Error, Repository, Severity, Subset};

use crate::damage::{Files, restore};
use crate::native::Native;
use crate::support::{NativeRepository, draft};

/// How a storage says that it does not give something out.
const REFUSALS: [fn(String) -> Error; 3] = [Error::Other, Error::Denied, Error::Unavailable];

/// A repository with a snapshot of these files and one of others, the first of which is named.
async fn stock() -> (NativeRepository, [Files; 2], [String; 2]) {
    let native = NativeRepository::new();
    native.create().await.close().await.expect("it closes");
    let files = [Files::new(), Files::new()];
    let mut ids = Vec::new();
    for files in &files {
        let repository = native.open().await;
        ids.push(files.back_up(&repository, false).await);
        repository.close().await.expect("it closes");
    }
    (native, files, ids.try_into().expect("there are two"))
}

/// The name of a file.
fn name(path: &Path) -> String {
    let name = path.file_name().expect("it has a name");
    name.to_string_lossy().into_owned()
}

/// The repository, whose file of this name is not given out.
async fn without(
    native: &NativeRepository,
    lost: String,
    refusal: fn(String) -> Error,
) -> (Repository<Native>, Native) {
    let platform = native.platform();
    platform.refuse(move |path| {
        path.ends_with(&lost)
            .then(|| refusal(format!("{path}: no")))
    });
    (native.open_on(platform.clone()).await, platform)
}

async fn errors(repository: &Repository<Native>, depth: Depth) -> String {
    let checked = repository.check(depth).await.expect("it goes on");
    checked.of(Severity::Error).join("; ")
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_that_is_not_given_out_is_damage_of_that_file() {
    for refusal in REFUSALS {
        let (native, files, _) = stock().await;
        let packs = native.files("data");
        let size = |path: &std::path::PathBuf| path.metadata().expect("it is there").len();
        let is_small = |path: &&std::path::PathBuf| size(path) < 10_000;
        let trees = packs.iter().find(is_small).expect("there is one");
        let others = [
            &native.files("snapshots")[0],
            &native.files("index")[0],
            trees,
        ];
        for lost in others.map(|path| name(path)) {
            let native = native.copy();
            let (repository, _) = without(&native, lost.clone(), refusal).await;
            let found = errors(&repository, Depth::Structure).await;
            assert!(
                found.contains(&lost[..8]) && found.contains(": no"),
                "{found}"
            );
            let snapshots = repository.snapshots().await.expect("they are listed");
            assert_eq!(snapshots.len(), 2);
            let error = repository.reclaim().await.expect_err("it may be needed");
            assert!(matches!(error, Error::Corrupt(_)), "{error}");
            let id = files[0].back_up(&repository, true).await;
            let (found, _) = restore(&repository, &id, false).await.expect("it is whole");
            assert_eq!(found[0].1.as_ref(), Some(&files[0].0[0]));
            repository.close().await.expect("it closes");
        }
        let lost = name(&native.largest_pack());
        let (repository, platform) = without(&native, lost, refusal).await;
        let mut incomplete = 0;
        for snapshot in repository.snapshots().await.expect("they are listed") {
            let id = snapshot.id.to_string();
            let (_, completeness) = restore(&repository, &id, true).await.expect("it goes on");
            incomplete += u32::from(completeness == Completeness::Incomplete);
        }
        assert!(incomplete > 0 && platform.warnings().contains("left out"));
        let found = errors(&repository, Depth::Data(Subset::ALL)).await;
        assert!(found.contains("a file cannot be restored"), "{found}");
        repository.close().await.expect("it closes");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn where_nothing_can_be_read_any_more_the_first_error_ends_it() {
    for refusal in REFUSALS {
        let (native, _, [first, _]) = stock().await;
        let platform = native.platform();
        let repository = native.open_on(platform.clone()).await;
        platform.refuse(move |_| Some(refusal("gone".into())));
        let errors = [
            restore(&repository, &first, true).await.map(drop),
            repository.check(Depth::Structure).await.map(drop),
            repository.reclaim().await.map(drop),
            repository.begin(draft()).await.map(drop),
        ];
        for error in errors {
            let error = error.expect_err("nothing can be read");
            let is_damage = matches!(error, Error::Corrupt(_));
            assert!(!is_damage && error.to_string().contains("gone"), "{error}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_fault_that_passes_is_no_damage() {
    let (native, _, [first, _]) = stock().await;
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    let asked = RefCell::new(HashSet::new());
    platform.refuse(move |path| {
        let is_file = path.contains('/');
        let is_first = is_file && asked.borrow_mut().insert(path.to_owned());
        is_first.then(|| Error::Other("not now".into()))
    });
    let (_, completeness) = restore(&repository, &first, false)
        .await
        .expect("it is whole");
    assert_eq!(completeness, Completeness::Complete);
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_listed_is_looked_for_by_name() {
    let (native, files, [first, _]) = stock().await;
    let platform = native.platform();
    platform.refuse(|path| (path == "data").then(|| Error::Other("no listing".into())));
    let repository = native.open_on(platform.clone()).await;
    let (found, _) = restore(&repository, &first, false)
        .await
        .expect("it is there");
    assert_eq!(found[0].1.as_ref(), Some(&files[0].0[0]));
    let found = errors(&repository, Depth::Data(Subset::ALL)).await;
    assert_eq!(found, "the packs cannot be listed: no listing");
    let before = native.files("data").len();
    files[0].back_up(&repository, false).await;
    assert_eq!(native.files("data").len(), before, "all of it is there");
    let error = repository.reclaim().await.expect_err("there may be more");
    assert!(error.to_string().contains("no listing"), "{error}");
    repository.close().await.expect("it closes");

    let platform = native.platform();
    platform.refuse(|path| (path == "locks").then(|| Error::Denied("no locks".into())));
    let repository = native.open_on(platform.clone()).await;
    restore(&repository, &first, false)
        .await
        .expect("who reads needs none");
    assert!(platform.warnings().contains("no locks"));
    let error = repository
        .begin(draft())
        .await
        .map(drop)
        .expect_err("somebody may prune");
    assert!(error.to_string().contains("no locks"), "{error}");
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn a_lock_that_is_not_given_out_keeps_out_all_but_those_who_read() {
    let (native, _, [first, _]) = stock().await;
    let other = native.open().await;
    let writer = other.begin(draft()).await.expect("it begins");
    let lock = name(&native.files("locks")[0]);
    let (repository, platform) = without(&native, lock, Error::Denied).await;
    let error = repository
        .begin(draft())
        .await
        .map(drop)
        .expect_err("it may be exclusive");
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    let error = repository.reclaim().await.expect_err("somebody is at work");
    assert!(matches!(error, Error::Locked(_)), "{error}");
    restore(&repository, &first, false)
        .await
        .expect("who reads needs none");
    assert!(platform.warnings().contains("may keep everybody out"));
    repository.close().await.expect("it closes");
    drop(writer);
    other.close().await.expect("it closes");
}
