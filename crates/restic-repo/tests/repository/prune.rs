//! Snapshots that go, and what goes with them.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::native::Native;
use crate::support::{FILLS_A_PACK, NativeRepository, PASSWORD, Pieces, draft, entry, noise, sql};
use restic_repo::{
    Access, Completeness, Depth, Environment as _, Error, Id, Kind, Reclaimed, Repository, Severity,
};
use tthost_tests::cheap_key::cheapen;

/// A repository, its snapshots, and what each holds.
struct Stock {
    native: NativeRepository,
    snapshots: Vec<(Id, Vec<u8>)>,
}

impl Stock {
    async fn new() -> Self {
        let native = NativeRepository::new();
        let repository = native.create().await;
        repository.close().await.expect("it closes");
        Self {
            native,
            snapshots: Vec::new(),
        }
    }

    /// Three snapshots, of which the second has half of the first and the third a bit of the
    /// second.
    async fn of_three() -> Self {
        let mut stock = Self::new().await;
        let (one, two, three) = (noise(24 << 20), noise(12 << 20), noise(6 << 20));
        let second = [&one[12 << 20..], &two].concat();
        let third = [&two[9 << 20..], &three].concat();
        for contents in [one, second, third] {
            Box::pin(stock.add(contents)).await;
        }
        stock
    }

    async fn add(&mut self, contents: Vec<u8>) {
        let repository = self.native.open().await;
        let mut writer = repository.begin(draft()).await.expect("it begins");
        let entries = vec![entry(1, 0, b"database.sql", Kind::File(None))];
        writer.offer(entries).await.expect("it is an entry");
        let pieces = Pieces::good(&writer, contents.clone());
        writer.put(1, pieces).await.expect("it is stored");
        let receipt = writer.commit(Completeness::Complete).await;
        let id = receipt.expect("it is committed").snapshot;
        self.snapshots
            .push((id.expect("there is a snapshot"), contents));
        repository.close().await.expect("it closes");
    }

    fn ids(&self, range: std::ops::Range<usize>) -> Vec<Id> {
        self.snapshots[range].iter().map(|(id, _)| *id).collect()
    }
}

/// Forgets snapshots, and frees what only they needed.
async fn forget_and_reclaim(
    repository: &Repository<Native>,
    forget: &[Id],
) -> Result<Reclaimed, Error> {
    repository.forget(forget).await?;
    repository.reclaim().await
}

/// Prunes in some days, when nobody can be at work any more who is now.
async fn prune(native: &NativeRepository, forget: &[Id]) -> Reclaimed {
    let platform = native.platform();
    platform.set_time(platform.now().seconds + 2 * 24 * 60 * 60);
    let repository = native.open_on(platform).await;
    let pruned = forget_and_reclaim(&repository, forget).await;
    repository.close().await.expect("it closes");
    pruned.expect("it is pruned")
}

fn stored(native: &NativeRepository) -> u64 {
    let packs = native.files("data").into_iter();
    packs
        .map(|pack| fs::metadata(pack).expect("it is there").len())
        .sum()
}

/// All files but locks, by their names.
fn everything(native: &NativeRepository) -> Vec<PathBuf> {
    let directories = ["data", "index", "keys", "snapshots"];
    let mut files: Vec<_> = directories
        .iter()
        .flat_map(|directory| native.files(directory))
        .collect();
    files.sort();
    files
}

/// Fails unless restic finds nothing wrong, and gives back what every snapshot that it lists held.
fn expect_whole(stock: &Stock, native: &NativeRepository) {
    native.restic(&["check", "--read-data"]);
    let listed = native.restic(&["list", "snapshots"]);
    let listed = String::from_utf8(listed).expect("it is text");
    for id in listed.lines() {
        let known = stock
            .snapshots
            .iter()
            .find(|(known, _)| known.to_string() == id);
        let (_, contents) = known.expect("it was made here");
        assert!(
            native.restic(&["dump", id, "/database.sql"]) == *contents,
            "other contents in {id}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_only_removed_snapshots_needed_goes_and_the_rest_is_whole() {
    let stock = Box::pin(Stock::of_three()).await;
    let before = stored(&stock.native);
    let repository = stock.native.open().await;
    let forget = stock.ids(0..2);
    let planned = repository.reclaimable(&forget).await;
    let planned = planned.expect("it is planned");
    repository.close().await.expect("it closes");
    assert_eq!(stored(&stock.native), before, "a dry run removes nothing");
    assert_eq!(stock.native.files("snapshots").len(), 3);

    let theirs = stock.native.copy();
    let pruned = prune(&stock.native, &forget).await;
    assert_eq!(pruned, planned);
    assert_eq!(stock.native.files("snapshots").len(), 1);
    let after = stored(&stock.native);
    assert_eq!(after, pruned.bytes_left);
    assert_eq!(before + pruned.bytes_written - pruned.bytes_removed, after);
    // 9 MiB are needed, and chunks are cut at other places than the contents.
    assert!((9 << 20..13 << 20).contains(&after), "{after} bytes");
    expect_whole(&stock, &stock.native);
    assert!(stock.native.files("locks").is_empty());

    let mut arguments = vec!["forget".to_owned(), "--prune".to_owned()];
    arguments.extend(forget.iter().map(Id::to_string));
    theirs.restic(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let by_restic = stored(&theirs);
    assert!(
        after.abs_diff(by_restic) < by_restic / 20,
        "{after} bytes are left, and {by_restic} after restic"
    );
    let again = prune(&stock.native, &[]).await;
    assert_eq!((again.packs_removed, again.packs_written), (0, 0));
}

#[tokio::test(flavor = "current_thread")]
async fn wherever_it_is_cut_off_every_snapshot_is_whole_and_the_next_one_ends_it() {
    let stock = Box::pin(Stock::of_three()).await;
    let mut cut = 0;
    loop {
        let native = stock.native.copy();
        let platform = native.platform();
        let repository = native.open_on(platform.clone()).await;
        platform.fail_after(cut);
        let pruned = forget_and_reclaim(&repository, &stock.ids(0..2)).await;
        drop(repository);
        if pruned.is_ok() {
            break;
        }
        // What it would take away, could it still do anything.
        native.restic(&["unlock", "--remove-all"]);
        native.restic(&["check", "--read-data"]);
        let listed = native.files("snapshots").len();
        assert!((1..=3).contains(&listed), "{listed} snapshots");
        let left = stock.ids(0..2).into_iter();
        let left = left.filter(|id| native.path().join(format!("snapshots/{id}")).exists());
        prune(&native, &left.collect::<Vec<_>>()).await;
        assert_eq!(native.files("snapshots").len(), 1);
        assert!(stored(&native) < 13 << 20, "cut off after {cut} changes");
        native.restic(&["check", "--read-data"]);
        cut += 1;
    }
    assert!(cut > 8, "it was cut off {cut} times only");
}

#[tokio::test(flavor = "current_thread")]
async fn what_restic_wrote_in_both_versions_can_be_pruned() {
    for version in ["1", "2"] {
        let native = NativeRepository::new();
        native.restic(&["init", "--repository-version", version]);
        cheapen(&native.path(), PASSWORD).expect("the key can be sealed anew");
        let files = tempfile::tempdir().expect("there is room");
        for round in 0..4_u64 {
            fs::write(files.path().join("all"), sql(3 << 20, round)).expect("it is written");
            // Half of them never change.
            for file in 0..50_u64 {
                let seed = if file % 2 == 0 { round } else { 0 };
                let path = files.path().join(format!("file-{file}"));
                fs::write(path, sql(100_000, 1000 * seed + file)).expect("it is written");
            }
            let path = files.path().to_string_lossy();
            native.restic(&["backup", &path]);
        }
        let repository = native.open().await;
        let mut snapshots = repository.snapshots().await.expect("they are listed");
        repository.close().await.expect("it closes");
        snapshots.pop();
        let forget: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id).collect();
        let before = stored(&native);
        let pruned = prune(&native, &forget).await;
        assert!(pruned.packs_written > 0, "{pruned:?}");
        assert!(stored(&native) < before / 2);
        native.restic(&["check", "--read-data"]);
        let target = tempfile::tempdir().expect("there is room");
        let to = target.path().to_string_lossy();
        native.restic(&["restore", "latest", "--target", &to]);
        let restored = target
            .path()
            .join(files.path().strip_prefix("/").expect("it is absolute"));
        assert!(fs::read(restored.join("all")).expect("it is there") == sql(3 << 20, 3));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn nobody_else_is_at_work_meanwhile() {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(sql(1 << 20, 1))).await;
    Box::pin(stock.add(sql(1 << 20, 2))).await;
    let native = &stock.native;
    let before = everything(native);
    let other = native.open().await;
    let writer = other.begin(draft()).await.expect("it begins");
    let repository = native.open().await;
    let refused = forget_and_reclaim(&repository, &stock.ids(0..1)).await;
    assert!(
        matches!(&refused, Err(Error::Locked(text)) if text.contains("in use by process")),
        "{refused:?}"
    );
    drop(writer);
    other.close().await.expect("it closes");
    assert_eq!(everything(native), before);

    // It is stopped after its lock and before all else.
    let platform = native.platform();
    let repository = native.open_on(platform.clone()).await;
    platform.fail_after(1);
    let failed = forget_and_reclaim(&repository, &stock.ids(0..1)).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    let refused = native.open().await.begin(draft()).await.map(drop);
    assert!(
        matches!(&refused, Err(Error::Locked(text)) if text.contains("exclusively")),
        "{refused:?}"
    );
    let refused = native.try_restic(&["backup", "/etc/hostname"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("locked exclusively"), "{said}");
}

#[tokio::test(flavor = "current_thread")]
async fn locks_of_those_who_are_gone_are_taken_away() {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(sql(1 << 20, 1))).await;
    let platform = stock.native.platform();
    platform.set_time(1_700_000_000);
    let gone = stock.native.open_on(platform).await;
    drop(gone.begin(draft()).await.expect("it begins"));
    drop(gone);
    assert_eq!(stock.native.files("locks").len(), 1);
    prune(&stock.native, &[]).await;
    assert!(stock.native.files("locks").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn packs_that_nobody_has_listed_yet_are_left_alone_for_a_day() {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(sql(1 << 20, 1))).await;
    let native = &stock.native;
    // As a machine leaves them that is at work, and sees no locks.
    let busy = native.open_with(Access::AppendOnly).await;
    let mut writer = busy.begin(draft()).await.expect("it begins");
    let entries = vec![entry(1, 0, b"database.sql", Kind::File(None))];
    writer.offer(entries).await.expect("it is an entry");
    let pieces = Pieces::good(&writer, noise(FILLS_A_PACK));
    writer.put(1, pieces).await.expect("it is stored");
    let before = stored(native);
    assert!(before > 16 << 20, "a pack is there");
    let repository = native.open().await;
    let pruned = repository.reclaim().await.expect("it is pruned");
    repository.close().await.expect("it closes");
    assert_eq!((pruned.packs_removed, pruned.bytes_left), (0, before));
    drop(writer);
    let pruned = prune(native, &[]).await;
    assert!(
        pruned.packs_removed > 0 && stored(native) < 2 << 20,
        "{pruned:?}"
    );
    expect_whole(&stock, native);
}

#[tokio::test(flavor = "current_thread")]
async fn all_snapshots_go_when_they_are_named_and_their_data_does_not_go_later_because_none_is_listed()
 {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(noise(2 << 20))).await;
    let both = stock.native.copy();
    let pruned = prune(&both, &stock.ids(0..1)).await;
    assert_eq!((stored(&both), pruned.bytes_left), (0, 0));

    let native = &stock.native;
    let before = stored(native);
    let repository = native.open().await;
    let forgotten = repository.forget(&stock.ids(0..1)).await;
    repository.close().await.expect("it closes");
    forgotten.expect("it is the last one");
    assert_eq!(
        prune(native, &[]).await,
        Reclaimed {
            bytes_left: before,
            ..Reclaimed::default()
        }
    );
    assert_eq!(stored(native), before);
    // The next snapshot needs nothing of it.
    Box::pin(stock.add(sql(1 << 20, 1))).await;
    prune(&stock.native, &[]).await;
    assert!(stored(&stock.native) < before);
}

#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_done_safely_changes_nothing() {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(sql(2 << 20, 1))).await;
    Box::pin(stock.add(sql(2 << 20, 2))).await;
    let native = &stock.native;
    let before = everything(native);
    let refuse = async |forget: &[Id], words: &str| {
        let repository = native.open().await;
        let refused = repository.forget(forget).await;
        repository.close().await.expect("it closes");
        let error = refused.expect_err("it is refused").to_string();
        assert!(error.contains(words), "{error}");
    };
    refuse(&[Id([7; 32])], "there is no snapshot 07070707").await;
    let append_only = native.open_with(Access::AppendOnly).await;
    let refused = append_only.forget(&stock.ids(0..1)).await;
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    assert_eq!(everything(native), before);

    // Any pack of the snapshot that stays.
    let last = native.copy();
    prune(&last, &stock.ids(0..1)).await;
    let needed = everything(&last);
    let name = |path: &PathBuf| path.file_name().map(ToOwned::to_owned);
    let mut packs = native.files("data");
    packs.retain(|pack| needed.iter().any(|other| name(other) == name(pack)));
    assert!(!packs.is_empty(), "some stay as they are");
    for pack in packs {
        let aside = pack.with_extension("aside");
        fs::rename(&pack, &aside).expect("it can be moved");
        refuse(&stock.ids(0..1), "nothing was removed").await;
        fs::rename(&aside, &pack).expect("it can be moved");
    }
    assert_eq!(everything(native), before);
}

#[tokio::test(flavor = "current_thread")]
async fn a_damaged_blob_gets_into_no_new_pack() {
    let mut stock = Stock::new().await;
    let first = noise(40 << 20);
    // So much that some of its chunks are those of the first, wherever that is cut, in packs with others.
    let part = first[10 << 20..30 << 20].to_vec();
    Box::pin(stock.add(first)).await;
    Box::pin(stock.add(part)).await;
    let damaged = &stock.native;
    for pack in damaged.files("data") {
        let mut bytes = fs::read(&pack).expect("it is there");
        if bytes.len() > 1 << 20 {
            for position in (0..bytes.len() - 4096).step_by(100_000) {
                bytes[position] ^= 1;
            }
            fs::write(&pack, bytes).expect("it is written");
        }
    }
    let mut before = everything(damaged);
    let repository = damaged.open().await;
    let failed = forget_and_reclaim(&repository, &stock.ids(0..1)).await;
    assert!(matches!(failed, Err(Error::Corrupt(_))), "{failed:?}");
    repository.close().await.expect("it closes");
    // What is damaged of a pack shows only when the pack is written anew.
    let forgotten = damaged
        .path()
        .join(format!("snapshots/{}", stock.ids(0..1)[0]));
    before.retain(|file| *file != forgotten);
    assert_eq!(everything(damaged), before);
    let repository: Repository<Native> = damaged.open().await;
    let findings = repository
        .check(Depth::Structure)
        .await
        .expect("it is checked");
    let errors = findings.of(Severity::Error);
    assert!(errors.is_empty(), "{errors:?}");
    repository.close().await.expect("it closes");
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_removed_where_a_store_denies_what_it_lists() {
    let stock = Box::pin(Stock::of_three()).await;
    for kind in ["snapshots", "index"] {
        for file in stock.native.files(kind) {
            let native = stock.native.copy();
            let name = file.strip_prefix(stock.native.path()).expect("it is in it");
            let denied = native.path().join(name);
            let aside = native.path().join("aside");
            fs::rename(&denied, &aside).expect("it is there");
            // A listing shows it, and it cannot be read.
            std::os::unix::fs::symlink("nowhere", &denied).expect("there is room");
            let before = everything(&native);
            let platform = native.platform();
            platform.set_time(platform.now().seconds + 2 * 24 * 60 * 60);
            let repository = native.open_on(platform).await;
            let ids = stock.ids(0..1);
            let refused = forget_and_reclaim(&repository, &ids).await;
            assert!(
                matches!(&refused, Err(Error::Unavailable(text)) if text.contains("nothing was removed")),
                "{name:?}: {refused:?}"
            );
            repository.close().await.expect("it closes");
            assert_eq!(everything(&native), before, "something was removed");
            fs::rename(&aside, &denied).expect("it is there");
            expect_whole(&stock, &native);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_pack_that_no_index_names_goes_when_it_is_old_or_dated_in_the_future() {
    let mut stock = Stock::new().await;
    Box::pin(stock.add(noise(1 << 20))).await;
    let hour = Duration::from_hours(1);
    let packs = [
        (SystemTime::now() - 25 * hour, false),
        (SystemTime::now() - hour, true),
        (SystemTime::now() + Duration::from_mins(1), true),
        (SystemTime::now() + hour, false),
        (SystemTime::now() + 1000 * hour, false),
    ];
    let mut unlisted = Vec::new();
    for (time, stays) in packs {
        let name = format!("{:02x}", unlisted.len()).repeat(32);
        let path = stock.native.path().join("data").join(&name[..2]).join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        fs::write(&path, "somebody's").expect("there is room");
        let pack = fs::File::options().write(true).open(&path);
        let dated = pack.and_then(|pack| pack.set_modified(time));
        dated.expect("it is ours");
        unlisted.push((path, stays));
    }
    // Whatever this machine takes the time for.
    for skew in [0, -3 * 60 * 60, 3 * 24 * 60 * 60] {
        let native = stock.native.copy();
        let platform = native.platform();
        if skew != 0 {
            platform.set_clock(platform.now().seconds + skew);
        }
        let repository = native.open_on(platform).await;
        repository.reclaim().await.expect("it is reclaimed");
        repository.close().await.expect("it closes");
        for (path, stays) in &unlisted {
            let name = path.strip_prefix(stock.native.path()).expect("it is in it");
            assert_eq!(native.path().join(name).exists(), *stays, "{name:?} {skew}");
        }
    }
}
