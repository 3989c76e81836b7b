//! What is damaged is named, and the rest goes on.

use std::fs;

use restic_repo::{Completeness, Depth, Error, Kind, Repository, Selection, Severity, Subset};

use crate::native::Native;
use crate::support::{NativeRepository, Pieces, draft, entry, noise};

/// A few files of some hundred kilobytes, one of them in a directory.
pub struct Files(pub Vec<Vec<u8>>);

const NAMES: [&str; 3] = ["/a", "/b", "/d/c"];

impl Files {
    pub fn new() -> Self {
        Self(NAMES.map(|_| noise(300_000)).into())
    }

    /// Stores them as a snapshot, and answers its id.
    pub async fn back_up(&self, repository: &Repository<Native>, force: bool) -> String {
        Box::pin(self.store(repository, force)).await
    }

    async fn store(&self, repository: &Repository<Native>, force: bool) -> String {
        let draft = restic_repo::Draft { force, ..draft() };
        let mut writer = repository.begin(draft).await.expect("it begins");
        let file = || Kind::File(None);
        let entries = vec![
            entry(1, 0, b"a", file()),
            entry(2, 0, b"b", file()),
            entry(3, 0, b"d", Kind::Directory),
            entry(4, 3, b"c", file()),
        ];
        for id in writer.offer(entries).await.expect("they are entries") {
            let contents = self.0[[0, 0, 1, 1, 2][usize::try_from(id).expect("it fits")]].clone();
            let put = writer.put(id, Pieces::good(&writer, contents));
            put.await.expect("it is stored");
        }
        let receipt = writer.commit(Completeness::Complete).await;
        let receipt = receipt.expect("it is committed");
        receipt.snapshot.expect("there is one").to_string()
    }
}

/// What comes of a snapshot: of each file its path and contents, where they came, and whether all did.
pub async fn restore(
    repository: &Repository<Native>,
    snapshot: &str,
    skip_damaged: bool,
) -> restic_repo::Result<(Vec<(String, Option<Vec<u8>>)>, Completeness)> {
    let selection = Selection {
        snapshot: snapshot.into(),
        paths: Vec::new(),
        levels: None,
        skip_damaged,
    };
    let mut reader = repository.read(selection).await?;
    let entries = reader.next(100).await?;
    let mut files = Vec::new();
    for entry in &entries {
        if let Kind::File(_) = entry.kind {
            let above = if entry.parent == 0 { "/" } else { "/d/" };
            let name = String::from_utf8_lossy(&entry.name);
            let contents = reader.read_small(&[entry.id]).await?.remove(0);
            files.push((format!("{above}{name}"), contents));
        }
    }
    Ok((files, reader.finish()?))
}

fn spoil(path: &std::path::Path, place: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[place] ^= 1;
    fs::write(path, bytes).expect("it can be written");
}

#[tokio::test(flavor = "current_thread")]
async fn a_damaged_snapshot_or_index_keeps_nobody_from_the_rest() {
    for directory in ["snapshots", "index"] {
        let native = NativeRepository::new();
        let repository = native.create().await;
        let (first, second) = (Files::new(), Files::new());
        let lost = first.back_up(&repository, false).await;
        repository.close().await.expect("it closes");
        let before = native.files(directory);
        let repository = native.open().await;
        let kept = second.back_up(&repository, false).await;
        repository.close().await.expect("it closes");
        spoil(&before[0], 20);

        let platform = native.platform();
        let repository = native.open_on(platform.clone()).await;
        let (files, completeness) = restore(&repository, &kept, true).await.expect("it goes on");
        assert_eq!(completeness, Completeness::Complete, "{directory}");
        let whole = files.iter().zip(&second.0);
        assert!(
            whole
                .clone()
                .all(|((_, found), contents)| found.as_ref() == Some(contents))
        );
        let again = first.back_up(&repository, false).await;
        let (files, _) = restore(&repository, &again, false)
            .await
            .expect("it is stored again");
        assert_eq!(files[0].1.as_ref(), Some(&first.0[0]), "{directory}");
        if directory == "snapshots" {
            let listed = repository.snapshots().await.expect("they are listed");
            let damaged = listed.iter().find(|snapshot| snapshot.damaged.is_some());
            let damaged = damaged.expect("it is listed as damaged");
            assert_eq!(damaged.id.to_string(), lost);
            let refused = repository
                .reclaim()
                .await
                .expect_err("nobody knows what it needs");
            assert!(
                refused.to_string().contains("nothing was freed"),
                "{refused}"
            );
            let id = damaged.id;
            repository.forget(&[id]).await.expect("it can be removed");
            repository.reclaim().await.expect("all is known");
        } else {
            assert!(
                platform.warnings().contains("taken for missing"),
                "{}",
                platform.warnings()
            );
        }
        repository.close().await.expect("it closes");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn damage_ends_a_reading_with_the_path_or_is_left_out_and_named() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let files = Files::new();
    let id = files.back_up(&repository, false).await;
    repository.close().await.expect("it closes");
    // One blob a file, in the order in which they were stored.
    spoil(&native.largest_pack(), 1000);
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    let refused = restore(&repository, &id, false)
        .await
        .expect_err("it is damaged");
    assert!(
        matches!(&refused, Error::Corrupt(text) if text.starts_with('/')),
        "{refused}"
    );
    let (found, completeness) = restore(&repository, &id, true).await.expect("it goes on");
    assert_eq!(completeness, Completeness::Incomplete);
    let lost: Vec<_> = found
        .iter()
        .filter(|(_, contents)| contents.is_none())
        .collect();
    let [(lost, _)] = lost[..] else {
        panic!("one file is damaged, and no other: {lost:?}");
    };
    let warned = format!("{lost}: ");
    assert!(
        platform.warnings().starts_with(&warned),
        "{}",
        platform.warnings()
    );
    let checked = repository.check(Depth::Data(Subset::ALL)).await;
    let checked = checked.expect("it can be checked");
    let path = Some(lost.clone().into_bytes());
    assert!(
        checked
            .findings
            .iter()
            .any(|finding| finding.path == path && finding.snapshot.is_some()),
        "{:?}",
        checked.findings
    );
    repository.close().await.expect("it closes");

    // Everything that was in it is named.
    fs::remove_file(native.largest_pack()).expect("it is there");
    let repository = native.open().await;
    let checked = repository.check(Depth::Structure).await;
    let findings = checked.expect("it can be checked").findings;
    for name in NAMES {
        let path = Some(name.as_bytes().to_vec());
        assert!(
            findings.iter().any(|finding| finding.path == path),
            "{name}: {findings:?}"
        );
    }
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn a_backup_counts_on_nothing_that_is_not_there() {
    type Lose = fn(&NativeRepository);
    let lose: [(&str, Lose); 3] = [
        ("a missing pack", |native| {
            fs::remove_file(native.largest_pack()).expect("it is there");
        }),
        ("a short pack", |native| {
            let pack = fs::File::options().write(true).open(native.largest_pack());
            pack.and_then(|pack| pack.set_len(1000))
                .expect("it can be cut");
        }),
        ("a damaged tree", |native| {
            let largest = native.largest_pack();
            let packs = native.files("data").into_iter();
            for pack in packs.filter(|pack| *pack != largest) {
                spoil(&pack, 10);
            }
        }),
    ];
    for (what, lose) in lose {
        for force in [false, true] {
            let native = NativeRepository::new();
            let repository = native.create().await;
            let files = Files::new();
            files.back_up(&repository, false).await;
            repository.close().await.expect("it closes");
            lose(&native);
            let repository = native.open().await;
            let id = files.back_up(&repository, force).await;
            repository.close().await.expect("it closes");
            let repository = native.open().await;
            let (found, _) = restore(&repository, &id, false).await.expect(what);
            let whole = found.iter().zip(&files.0);
            assert!(
                whole
                    .clone()
                    .all(|((_, found), contents)| found.as_ref() == Some(contents)),
                "{what}, force: {force}"
            );
            let checked = repository.check(Depth::Data(Subset::ALL)).await;
            let checked = checked.expect("it can be checked");
            let of_it = checked.findings.iter().filter(|finding| {
                finding.severity == Severity::Error
                    && finding.snapshot.is_some_and(|of| of.to_string() == id)
            });
            assert_eq!(of_it.count(), 0, "{what}: {:?}", checked.findings);
            repository.close().await.expect("it closes");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_too_deep_to_be_restored_is_not_called_sound() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    for (levels, is_sound) in [(4096, true), (4097, false)] {
        let mut writer = repository.begin(draft()).await.expect("it begins");
        let directories = (1..=levels).map(|id| entry(id, id - 1, b"d", Kind::Directory));
        let offered = writer.offer(directories.collect()).await;
        offered.expect("they are entries");
        let receipt = writer.commit(Completeness::Complete).await;
        let snapshot = receipt.expect("it is committed").snapshot;
        let found = repository
            .check(Depth::Structure)
            .await
            .expect("it goes on");
        let damage = found.of(Severity::Error);
        assert_eq!(damage.is_empty(), is_sound, "{damage:?}");
        let selection = Selection {
            snapshot: snapshot.expect("there is one").to_string(),
            paths: Vec::new(),
            levels: None,
            skip_damaged: false,
        };
        let mut reader = repository.read(selection).await.expect("it begins");
        assert_eq!(reader.next(5000).await.is_ok(), is_sound);
    }
}
