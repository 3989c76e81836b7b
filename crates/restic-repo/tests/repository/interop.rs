//! Repositories that this crate writes and restic reads, and the other way round.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::native::Native;
use crate::support::{
    NativeRepository, PASSWORD, Pieces, caller, draft, entry, entry_of, noise, sql,
};
use restic_repo::{
    Completeness, Counts, Depth, Draft, Error, Kind, Range, Receipt, Repository, Selection, Subset,
};
use tthost_tests::cheap_key::cheapen;

/// Stores one file as a snapshot.
async fn back_up(repository: &Repository<Native>, contents: Vec<u8>) -> Receipt {
    let mut writer = repository.begin(draft()).await.expect("it begins");
    let wanted = writer
        .offer(vec![entry(1, 0, b"database.sql", Kind::File(None))])
        .await
        .expect("it is an entry");
    assert_eq!(wanted, [1]);
    writer
        .put(1, Pieces::good(&writer, contents))
        .await
        .expect("it is stored");
    Box::pin(writer.commit(Completeness::Complete))
        .await
        .expect("it is committed")
}

/// The contents of all files of a snapshot, by their paths.
async fn contents(repository: &Repository<Native>, snapshot: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let selection = Selection {
        snapshot: snapshot.into(),
        paths: Vec::new(),
        levels: None,
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await.expect("it can be read");
    let mut paths = vec![Vec::new()];
    let mut files = Vec::new();
    loop {
        let entries = reader.next(3).await.expect("there are entries");
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let parent = &paths[usize::try_from(entry.parent).expect("it fits")];
            let path = [parent.as_slice(), b"/", &entry.name].concat();
            if matches!(entry.kind, Kind::File(_)) {
                files.push((
                    path.clone(),
                    reader
                        .read_small(&[entry.id])
                        .await
                        .expect("it can be read")
                        .remove(0)
                        .expect("it is whole"),
                ));
            }
            paths.push(path);
        }
    }
    reader.finish().expect("all of it came");
    files
}

#[tokio::test(flavor = "current_thread")]
async fn restic_reads_what_we_write() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let text = sql(30 << 20, 1);
    let receipt = back_up(&repository, text.clone()).await;
    repository.close().await.expect("it closes");

    let check = String::from_utf8(native.restic(&["check", "--read-data"])).expect("it is text");
    assert!(check.contains("no errors were found"), "{check}");
    let id = receipt.snapshot.expect("there is a snapshot").to_string();
    assert!(
        native.restic(&["dump", &id, "/database.sql"]) == text,
        "restic gives back other bytes"
    );
    let listed = String::from_utf8(native.restic(&["snapshots", "--json"])).expect("it is text");
    for part in [
        "\"hostname\":\"here\"",
        "\"tags\":[\"db\"]",
        "/database.sql",
        "2023-11-14T22:13:20.123Z",
    ] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }
    assert!(
        receipt.data_blobs > 10 && receipt.bytes_stored < receipt.bytes_added / 2,
        "{receipt:?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn the_same_contents_again_add_almost_nothing() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut text = sql(20 << 20, 1);
    back_up(&repository, text.clone()).await;
    repository.close().await.expect("it closes");

    let repository = native.open().await;
    let again = back_up(&repository, text.clone()).await;
    assert_eq!((again.data_blobs, again.bytes_added), (0, 0), "{again:?}");
    text.splice(10 << 20..10 << 20, b"one more line\n".iter().copied());
    let changed = back_up(&repository, text).await;
    assert!((1..=2).contains(&changed.data_blobs), "{changed:?}");
    repository.close().await.expect("it closes");
    native.restic(&["check", "--read-data"]);
}

/// Stores the file `d/b` and the file `a` of a directory; answers what was asked for, too.
async fn follow(native: &NativeRepository, directory: &Path, force: bool) -> (Vec<u64>, Receipt) {
    let repository = native.open().await;
    let draft = Draft {
        paths: vec![directory.to_str().expect("it is text").into()],
        force,
        ..draft()
    };
    let mut writer = repository.begin(draft).await.expect("it begins");
    let entries = vec![
        entry_of(1, 0, &directory.join("a")),
        entry_of(2, 0, &directory.join("d")),
        entry_of(3, 2, &directory.join("d/b")),
    ];
    let asked = writer.offer(entries).await.expect("they are entries");
    for id in &asked {
        let path = directory.join(["a", "d", "d/b"][usize::try_from(*id - 1).expect("it fits")]);
        let contents = fs::read(path).expect("it can be read");
        writer.put_small(*id, contents).await.expect("it is stored");
    }
    let receipt = Box::pin(writer.commit(Completeness::Complete))
        .await
        .expect("it is committed");
    repository.close().await.expect("it closes");
    (asked, receipt)
}

#[tokio::test(flavor = "current_thread")]
async fn small_files_that_are_dealt_among_packs_are_read_in_few_pieces() {
    const FILES: u64 = 300;
    let native = NativeRepository::new();
    native.create().await.close().await.expect("it closes");
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    let all = noise(4096 * usize::try_from(FILES).expect("it fits"));
    let files: Vec<_> = all.chunks(4096).map(<[u8]>::to_vec).collect();
    let mut writer = repository.begin(draft()).await.expect("it begins");
    let entries = (1..=FILES)
        .map(|id| {
            let name = format!("{id:03}");
            entry(id, 0, name.as_bytes(), Kind::File(Some(4096)))
        })
        .collect();
    for id in writer.offer(entries).await.expect("they are entries") {
        let file = files[usize::try_from(id - 1).expect("it fits")].clone();
        writer.put_small(id, file).await.expect("it is stored");
    }
    let receipt = Box::pin(writer.commit(Completeness::Complete))
        .await
        .expect("it is committed");

    let selection = Selection {
        snapshot: receipt.snapshot.expect("there is a snapshot").to_string(),
        paths: Vec::new(),
        levels: None,
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await.expect("it can be read");
    let entries = reader.next(1000).await.expect("there are entries");
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let before = platform.ranges();
    let read = reader.read_small(&ids).await.expect("they can be read");
    let pieces = platform.ranges() - before;
    let expected: Vec<_> = files.into_iter().map(Some).collect();
    assert!(read == expected, "a file has other contents");
    assert!(pieces <= 20, "{pieces} pieces");
}

#[tokio::test(flavor = "current_thread")]
async fn what_has_not_changed_since_restic_stored_it_is_not_read_again() {
    let files = tempfile::tempdir().expect("there is room");
    let directory = files.path();
    fs::create_dir(directory.join("d")).expect("it can be made");
    fs::write(directory.join("a"), "first").expect("it can be written");
    fs::write(directory.join("d/b"), "second").expect("it can be written");
    let native = NativeRepository::new();
    native.create().await.close().await.expect("it closes");
    let path = directory.to_str().expect("it is text");
    let stored = std::process::Command::new("restic")
        .args(["--no-cache", "--repo"])
        .arg(native.path())
        .args(["backup", ".", "--host", "here", "--tag", "db"])
        .args(["--time", "2023-11-14 00:00:00"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .current_dir(path)
        .output()
        .expect("restic is installed");
    assert!(stored.status.success(), "{stored:?}");

    let (asked, receipt) = follow(&native, directory, false).await;
    assert!(asked.is_empty() && receipt.data_blobs == 0, "{asked:?}");
    assert_eq!(receipt.bytes, 11);
    let (asked, receipt) = follow(&native, directory, false).await;
    assert!(asked.is_empty(), "{asked:?}");
    let unmodified = |count| Counts {
        unmodified: count,
        ..Counts::default()
    };
    assert_eq!(receipt.files, unmodified(2));
    assert_eq!(receipt.directories, unmodified(1));

    fs::write(directory.join("d/b"), "SECOND").expect("it can be written");
    let (asked, receipt) = follow(&native, directory, false).await;
    assert_eq!((asked, receipt.data_blobs), (vec![3], 1));
    let expected = Counts {
        changed: 1,
        ..unmodified(1)
    };
    assert_eq!(receipt.files, expected);
    let id = receipt.snapshot.expect("there is a snapshot").to_string();
    assert_eq!(native.restic(&["dump", &id, "/d/b"]), b"SECOND");
    assert_eq!(native.restic(&["dump", &id, "/a"]), b"first");

    let (asked, receipt) = follow(&native, directory, true).await;
    assert_eq!((asked, receipt.files.new), (vec![1, 3], 2));
    native.restic(&["check", "--read-data"]);

    // Another one takes the place of one that is damaged.
    let damage = |snapshot: &Path| {
        fs::set_permissions(snapshot, fs::Permissions::from_mode(0o600)).expect("it is ours");
        fs::write(snapshot, "no snapshot").expect("it can be written");
    };
    damage(&native.path().join("snapshots").join(&id));
    let (asked, _) = follow(&native, directory, false).await;
    assert!(!asked.contains(&1), "{asked:?}");
    for snapshot in fs::read_dir(native.path().join("snapshots")).expect("there are some") {
        damage(&snapshot.expect("it can be listed").path());
    }
    let (asked, _) = follow(&native, directory, false).await;
    assert_eq!(asked, [1, 3]);
}

#[tokio::test(flavor = "current_thread")]
async fn we_read_what_restic_writes_in_both_versions_and_all_compressions() {
    let files = tempfile::tempdir().expect("there is room");
    let directory = files.path().join("some/where");
    fs::create_dir_all(&directory).expect("it can be made");
    let big = sql(12 << 20, 7);
    fs::write(directory.join("big.sql"), &big).expect("it can be written");
    fs::write(directory.join("Grüße \"quoted\"\n<&>"), "small").expect("it can be written");
    fs::write(directory.join("empty"), "").expect("it can be written");

    for (version, compression) in [("1", "off"), ("2", "off"), ("2", "auto"), ("2", "max")] {
        let native = NativeRepository::new();
        native.restic(&["init", "--repository-version", version]);
        cheapen(&native.path(), PASSWORD).expect("the key can be sealed anew");
        let from = directory.to_str().expect("it is text");
        native.restic(&["backup", "--compression", compression, from]);

        let repository = native.open().await;
        let snapshots = repository.snapshots().await.expect("they can be listed");
        assert_eq!(snapshots.len(), 1);
        assert_eq!(snapshots[0].paths, [from]);
        let found = contents(&repository, &snapshots[0].id.to_string()).await;
        let expected: Vec<(Vec<u8>, Vec<u8>)> = [
            ("Grüße \"quoted\"\n<&>", b"small".to_vec()),
            ("big.sql", big.clone()),
            ("empty", Vec::new()),
        ]
        .map(|(name, contents)| (format!("{from}/{name}").into_bytes(), contents))
        .into();
        assert!(
            found == expected,
            "version {version}, {compression}: other files came back"
        );
        let findings = repository
            .check(Depth::Data(Subset::ALL))
            .await
            .expect("it can be checked");
        assert_eq!(findings.findings, []);
        assert_eq!(findings.snapshots, 1);

        // And we add to it what restic can read.
        let text = sql(3 << 20, 9);
        let receipt = back_up(&repository, text.clone()).await;
        repository.close().await.expect("it closes");
        native.restic(&["check", "--read-data"]);
        let id = receipt.snapshot.expect("there is a snapshot").to_string();
        assert!(native.restic(&["dump", &id, "/database.sql"]) == text);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_selection_gives_what_is_below_it_and_the_way_there() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let mut writer = repository.begin(draft()).await.expect("it begins");
    let entries = [
        entry(1, 0, b"a", Kind::Directory),
        entry(2, 1, b"one", Kind::File(Some(1))),
        entry(3, 1, b"sub", Kind::Directory),
        entry(4, 3, b"two", Kind::File(Some(1))),
        entry(5, 0, b"b", Kind::Symlink(b"a/one".to_vec())),
        entry(6, 0, b"c", Kind::File(Some(0))),
    ];
    assert_eq!(
        writer.offer(entries.to_vec()).await.expect("it is a tree"),
        [2, 4, 6]
    );
    for (id, contents) in [(2, "1"), (4, "2"), (6, "")] {
        writer
            .put_small(id, contents.into())
            .await
            .expect("it is stored");
    }
    let receipt = Box::pin(writer.commit(Completeness::Complete))
        .await
        .expect("it is committed");
    let id = receipt.snapshot.expect("there is a snapshot").to_string();
    for (paths, levels, expected) in [
        (&[][..], None, &["a", "one", "sub", "two", "b", "c"][..]),
        (&["/a/sub"], None, &["a", "sub", "two"]),
        (&["a/one", "/c"], None, &["a", "one", "c"]),
        (&["/"], None, &["a", "one", "sub", "two", "b", "c"]),
        (&[], Some(1), &["a", "b", "c"]),
        (&["/"], Some(2), &["a", "one", "sub", "b", "c"]),
        (&["/a"], Some(0), &["a"]),
        (&["/a"], Some(1), &["a", "one", "sub"]),
        (&["/a/sub", "/a"], Some(1), &["a", "one", "sub", "two"]),
    ] {
        let selection = Selection {
            snapshot: id[..8].into(),
            paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            levels,
            skip_damaged: false,
        };
        let mut reader = repository.read(selection).await.expect("it can be read");
        let entries = reader.next(100).await.expect("there are entries");
        let names: Vec<_> = entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.name))
            .collect();
        assert_eq!(names, expected, "{paths:?} {levels:?}");
        assert!(reader.next(100).await.expect("it is the end").is_empty());
        reader.finish().expect("all of it came");
    }
    let selection = Selection {
        snapshot: id.clone(),
        paths: vec![b"/nowhere".to_vec()],
        levels: None,
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await.expect("it can be read");
    assert!(reader.next(100).await.expect("it is empty").is_empty());
    assert!(matches!(reader.finish(), Err(Error::NotFound(_))));
    repository.close().await.expect("it closes");
    native.restic(&["check", "--read-data"]);
    let listed = String::from_utf8(native.restic(&["ls", &id])).expect("it is text");
    assert!(
        listed.ends_with("/a\n/a/one\n/a/sub\n/a/sub/two\n/b\n/c\n"),
        "{listed}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_wrong_password_and_a_missing_repository_are_told_apart() {
    let native = NativeRepository::new();
    let missing = Repository::open(native.platform(), caller(), b"x")
        .await
        .map(drop);
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    native.create().await.close().await.expect("it closes");
    let wrong = Repository::open(native.platform(), caller(), b"wrong")
        .await
        .map(drop);
    assert!(matches!(wrong, Err(Error::Unauthenticated(_))), "{wrong:?}");
    let twice = Repository::create(native.platform(), caller(), PASSWORD.as_bytes())
        .await
        .map(drop);
    assert!(matches!(twice, Err(Error::Exists(_))), "{twice:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_part_of_a_file_is_cut_out_of_the_blobs_that_hold_it() {
    let native = NativeRepository::new();
    let repository = native.create().await;
    let whole = noise(9 << 20);
    let receipt = back_up(&repository, whole.clone()).await;
    let selection = Selection {
        snapshot: receipt.snapshot.expect("there is a snapshot").to_string(),
        paths: Vec::new(),
        levels: None,
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await.expect("it can be read");
    reader.next(10).await.expect("there is an entry");
    let end = whole.len() as u64;
    for (offset, length) in [
        (0, end),
        (0, 1),
        (end - 1, 1),
        (end - 1, 100),
        (end, 1),
        (1234, 3 << 20),
        (5 << 20, 0),
    ] {
        let range = Range { offset, length };
        let (mut contents, skipped) = reader.read_range(1, range).expect("it is a file");
        let mut found = Vec::new();
        while let Some(blobs) = contents.next().await.expect("they are there") {
            found.extend(contents.open(blobs).await.expect("they are sound").concat());
        }
        let from = usize::try_from(offset).expect("it fits");
        let to = usize::try_from((offset + length).min(end)).expect("it fits");
        let skipped = usize::try_from(skipped).expect("it fits");
        let found = &found[skipped.min(found.len())..];
        let expected = &whole[from..to];
        assert!(found.starts_with(expected), "{range:?}");
        // Only the blobs that hold it are read.
        assert!(found.len() < expected.len() + (8 << 20), "{range:?}");
    }
    drop(reader);
    repository.close().await.expect("it closes");
}
