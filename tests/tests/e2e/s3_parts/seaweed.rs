//! The real server refuses what it should refuse, to each class of credentials.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command;
use tthost_tests::counting::Counting;
use tthost_tests::s3::Bucket;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::wait::wait_until;

const BUCKET: &str = "bucket";

/// MD5 of `contents`.
const DIGEST: [u8; 16] = [
    0x98, 0xbf, 0x7d, 0x8c, 0x15, 0x78, 0x4f, 0x0a, 0x3d, 0x63, 0x20, 0x44, 0x41, 0xe1, 0xe2, 0xaa,
];

/// What each class may do: put, get, list, delete.
const RIGHTS: [(Class, [bool; 4]); 6] = [
    (Class::Admin, [true, true, true, true]),
    (Class::Full, [true, true, true, true]),
    (Class::AppendOnly, [true, true, true, false]),
    (Class::WriteOnly, [true, false, false, false]),
    (Class::ReadOnly, [false, true, true, false]),
    (Class::None, [false, false, false, false]),
];

#[test]
fn each_class_may_do_what_it_is_called_after_and_nothing_else() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let owner = seaweed.new_bucket(BUCKET)?;
    for (class, [put, get, list, delete]) in RIGHTS {
        let bucket = seaweed.bucket(BUCKET, class)?;
        let judge = |what: &str, allowed: bool, status: u16, found: u16| {
            let expected = if allowed { status } else { 403 };
            ensure!(found == expected, "{class:?}, {what}: {found}");
            Ok(())
        };
        ensure!(owner.put("there", b"contents")? == 200);
        judge("storing", put, 200, bucket.put("new", b"new")?)?;
        judge("replacing", put, 200, bucket.put("there", b"other")?)?;
        let contents = if put { &b"other"[..] } else { b"contents" };
        ensure!(owner.get("there")?.1 == contents, "{class:?} replaces it");

        judge("reading", get, 200, bucket.get("there")?.0)?;
        judge("asking for it", get, 200, bucket.head("there")?)?;
        // Who may not read is not told either that there is nothing.
        judge("reading nothing", get, 404, bucket.get("missing")?.0)?;
        judge("asking for nothing", get, 404, bucket.head("missing")?)?;
        match bucket.list("") {
            Ok(objects) => ensure!(list && !objects.is_empty(), "{class:?}: {objects:?}"),
            Err(error) => ensure!(!list && error.to_string().contains("AccessDenied")),
        }

        judge("removing", delete, 204, bucket.delete("there")?)?;
        judge("removing nothing", delete, 204, bucket.delete("missing")?)?;
        let left = if delete { 404 } else { 200 };
        ensure!(owner.head("there")? == left, "{class:?} removes it");

        let other = seaweed.bucket(class.access_key(), class)?;
        ensure!(
            other.create().is_ok() == (class == Class::Admin),
            "a bucket made by {class:?}"
        );
    }
    Ok(())
}

#[test]
fn a_wrong_secret_and_an_unknown_key_open_nothing() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?.put("there", b"contents")?;
    for (key, secret) in [
        (Class::Admin.access_key(), Class::Full.secret_key()),
        ("nobody", Class::Admin.secret_key()),
    ] {
        let bucket = Bucket::at(&seaweed.endpoint(), BUCKET, key, &secret)?;
        ensure!(bucket.get("there")?.0 == 403, "{key} reads");
        ensure!(bucket.put("there", b"other")? == 403, "{key} stores");
    }
    Ok(())
}

#[test]
fn a_right_can_be_taken_away_from_one_class_alone() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let owner = seaweed.new_bucket(BUCKET)?;
    seaweed.restrict(Class::AppendOnly, &owner, &["s3:GetObject"])?;
    ensure!(seaweed.bucket(BUCKET, Class::AppendOnly)?.put("a", b"")? == 403);
    ensure!(seaweed.bucket(BUCKET, Class::WriteOnly)?.put("a", b"")? == 200);
    ensure!(seaweed.bucket(BUCKET, Class::AppendOnly)?.get("a")?.0 == 200);
    Ok(())
}

#[test]
fn what_is_there_is_not_replaced_by_who_asks_for_that() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let owner = seaweed.new_bucket(BUCKET)?;
    for class in [Class::Full, Class::AppendOnly, Class::WriteOnly] {
        let bucket = seaweed.bucket(BUCKET, class)?;
        let key = class.access_key();
        ensure!(bucket.put_new(key, b"first")? == 200);
        ensure!(bucket.put_new(key, b"second")? == 412, "by {class:?}");
        ensure!(owner.get(key)?.1 == b"first");
        ensure!(bucket.put(key, b"third")? == 200);
        ensure!(owner.get(key)?.1 == b"third");
    }
    Ok(())
}

#[test]
fn what_is_not_what_its_digest_says_is_not_stored() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    ensure!(bucket.put_digested("key", b"contents", DIGEST)? == 200);
    ensure!(bucket.put_digested("key", b"c0ntents", DIGEST)? == 400);
    ensure!(bucket.put_digested("other", b"c0ntents", DIGEST)? == 400);
    ensure!(bucket.get("key")? == (200, b"contents".to_vec()));
    ensure!(bucket.head("other")? == 404);
    Ok(())
}

#[test]
fn part_of_an_object_can_be_read() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    bucket.put("key", b"0123456789")?;
    ensure!(bucket.get_part("key", 3..=5)? == (206, b"345".to_vec()));
    ensure!(bucket.get_part("key", 8..=20)? == (206, b"89".to_vec()));
    ensure!(bucket.get_part("key", 10..=20)?.0 == 416);
    Ok(())
}

#[test]
fn versions_are_kept_from_those_who_replace_and_remove() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let owner = seaweed.new_bucket(BUCKET)?;
    owner.keep_versions()?;
    let first = owner.put_version("key", b"first")?;
    let writer = seaweed.bucket(BUCKET, Class::WriteOnly)?;
    ensure!(writer.put("key", b"second")? == 200);
    let full = seaweed.bucket(BUCKET, Class::Full)?;
    ensure!(full.get("key")? == (200, b"second".to_vec()));
    ensure!(full.delete("key")? == 204);
    ensure!(full.get("key")?.0 == 404);
    // Without s3:DeleteObjectVersion.
    ensure!(full.delete_version("key", &first)? == 403);
    ensure!(owner.get_version("key", &first)? == (200, b"first".to_vec()));
    ensure!(owner.delete_version("key", &first)? == 204);
    ensure!(owner.get_version("key", &first)?.0 == 404);
    Ok(())
}

#[test]
fn locked_versions_are_kept_from_their_owner_too() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let owner = seaweed.new_bucket(BUCKET)?;
    owner.keep_versions()?;
    owner.lock_versions(1)?;
    let first = owner.put_version("key", b"first")?;
    ensure!(owner.put("key", b"second")? == 200);
    ensure!(owner.delete("key")? == 204);
    ensure!(owner.delete_version("key", &first)? == 403);
    ensure!(owner.get_version("key", &first)? == (200, b"first".to_vec()));
    Ok(())
}

#[test]
fn a_proxy_counts_requests_and_changes_none() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?;
    let counting = Counting::before(&seaweed.endpoint())?;
    let (key, secret) = (Class::Full.access_key(), Class::Full.secret_key());
    let bucket = Bucket::at(&counting.endpoint(), BUCKET, key, &secret)?;
    let large = vec![7; 3 << 20];
    ensure!(bucket.put("key", &large)? == 200);
    ensure!(bucket.put_new("key", b"")? == 412);
    ensure!(bucket.get("key")? == (200, large));
    ensure!(bucket.list("")?.len() == 1);
    ensure!(bucket.delete("key")? == 204);
    let expected = [("DELETE", 1), ("GET", 1), ("LIST", 1), ("PUT", 2)];
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    ensure!(counting.take() == expected.into());
    ensure!(counting.take().is_empty());
    Ok(())
}

#[test]
fn two_servers_run_side_by_side_and_leave_nothing() -> Result<()> {
    let one = Seaweed::start()?;
    let two = Seaweed::start()?;
    one.new_bucket(BUCKET)?.put("only-in-one", b"")?;
    ensure!(two.new_bucket(BUCKET)?.list("")?.is_empty());
    let left = one.paths();
    expect_there(&left)?;
    drop(one);
    ensure!(!left.iter().any(|path| path.exists()), "{left:?}");
    ensure!(two.bucket(BUCKET, Class::Full)?.put("key", b"")? == 200);
    Ok(())
}

#[test]
fn a_server_goes_away_when_its_owner_is_killed() -> Result<()> {
    // This test runs itself again as the owner, with a variable that says so.
    const OWNER: &str = "TTHOST_TESTS_OWNER";
    if let Some(note) = std::env::var_os(OWNER) {
        let seaweed = Seaweed::start()?;
        let unfinished = PathBuf::from(&note).with_extension("unfinished");
        let paths = seaweed.paths();
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        fs::write(&unfinished, paths.join("\n"))?;
        fs::rename(unfinished, note)?;
        sleep(Duration::from_mins(10));
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let note = temporary.path().join("where");
    let mut owner = own_test("a_server_goes_away_when_its_owner_is_killed")?
        .env(OWNER, &note)
        .stdout(Stdio::null())
        .spawn()?;
    wait_until("the server runs", || note.exists())?;
    let left: Vec<PathBuf> = fs::read_to_string(&note)?.lines().map(Into::into).collect();
    expect_there(&left)?;
    owner.kill()?;
    owner.wait()?;
    wait_until("the server is gone", || {
        !left.iter().any(|path| path.exists())
    })
}

#[test]
fn where_the_server_is_not_installed_its_tests_say_what_to_do() -> Result<()> {
    // Nothing is installed below an empty directory.
    let empty = tempfile::tempdir()?;
    let mut test = own_test("part_of_an_object_can_be_read")?;
    test.env("XDG_CACHE_HOME", empty.path());
    command::run(&mut test)?.expect_failure(101, &["`cargo xtask test` installs it"])?;
    Ok(())
}

/// A test of this file, to be run in a process of its own.
fn own_test(name: &str) -> Result<Command> {
    let path = module_path!().split_once("::").context("a module")?.1;
    let mut test = Command::new(std::env::current_exe()?);
    test.args(["--exact", &format!("{path}::{name}")]);
    Ok(test)
}

fn expect_there(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        ensure!(path.exists(), "{} is not there", path.display());
    }
    Ok(())
}
