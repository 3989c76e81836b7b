//! The parts that the other tests rely on do what they say.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tthost_tests::command::{self, Outcome};
use tthost_tests::fingerprint::Fingerprint;
use tthost_tests::postgres::Postgres;
use tthost_tests::restic::Restic;
use tthost_tests::rustic::Rustic;
use tthost_tests::shop;
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::wait::wait_until;

#[test]
fn a_plain_dump_restored_has_the_same_fingerprint() -> Result<()> {
    let postgres = Postgres::start()?;
    shop::open(&postgres, "shop", 1)?;
    let dump = command::run(&mut postgres.client("pg_dump", "shop"))?.success()?;
    postgres.create_database("copy")?;
    let mut psql = postgres.client("psql", "copy");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction"]);
    command::run_with_input(&mut psql, &dump.stdout)?.success()?;

    let original = Fingerprint::of(&postgres, "shop")?;
    let copy = Fingerprint::of(&postgres, "copy")?;
    assert_eq!(original.difference(&copy), "");
    assert_eq!(original, copy);
    ensure!(original.rows() > 5000, "only {} rows", original.rows());
    for (kind, least) in [
        ("table", 11),
        ("large object", 4),
        ("sequence", 3),
        ("definition", 60),
    ] {
        let count = original.count(kind);
        ensure!(count >= least, "only {count} of: {kind}");
    }
    Ok(())
}

#[test]
fn a_fingerprint_tells_every_kind_of_change() -> Result<()> {
    let postgres = Postgres::start()?;
    shop::open(&postgres, "shop", 1)?;
    let changes = [
        (
            "table shop.photos",
            "UPDATE shop.photos SET image = set_byte(image, 9, get_byte(image, 9) # 1) WHERE product = 7",
        ),
        (
            "table shop.orders_2024",
            "DELETE FROM shop.items WHERE order_id = 1200; DELETE FROM shop.orders WHERE id = 1200",
        ),
        (
            "\"Lager & Versand\".\"Fächer\"",
            "UPDATE \"Lager & Versand\".\"Fächer\" SET empty_or_null = '' WHERE empty_or_null IS NULL",
        ),
        ("large object 100002", "SELECT lo_put(100002, 5, '\\x00')"),
        (
            "sequence shop.invoice_numbers",
            "SELECT nextval('shop.invoice_numbers')",
        ),
        ("definition revenue", "DROP VIEW shop.revenue"),
        (
            "definition TABLE customers",
            "REVOKE SELECT ON shop.customers FROM shop_reader",
        ),
        (
            "definition products remember_price",
            "ALTER TABLE shop.products DISABLE TRIGGER remember_price",
        ),
    ];
    let mut before = Fingerprint::of(&postgres, "shop")?;
    for (name, sql) in changes {
        postgres.psql("shop", sql)?;
        let after = Fingerprint::of(&postgres, "shop")?;
        let difference = before.difference(&after);
        ensure!(
            difference.contains(name),
            "{sql}: {name} is not in:\n{difference}"
        );
        before = after;
    }
    Ok(())
}

#[test]
fn the_same_shop_is_made_twice_and_trade_changes_it() -> Result<()> {
    let postgres = Postgres::start()?;
    shop::open(&postgres, "one", 1)?;
    shop::open(&postgres, "two", 1)?;
    let one = Fingerprint::of(&postgres, "one")?;
    assert_eq!(one.difference(&Fingerprint::of(&postgres, "two")?), "");
    shop::trade(&postgres, "two")?;
    ensure!(
        one.difference(&Fingerprint::of(&postgres, "two")?)
            .contains("table shop.orders_2023")
    );
    Ok(())
}

#[test]
fn two_servers_run_side_by_side_and_leave_nothing() -> Result<()> {
    let one = Postgres::start()?;
    let two = Postgres::start()?;
    one.create_database("only_in_one")?;
    let databases = two.psql("postgres", "SELECT datname FROM pg_database")?;
    ensure!(!databases.contains("only_in_one"));
    let directory = one.socket_directory().to_owned();
    ensure!(directory.is_dir());
    drop(one);
    ensure!(
        !directory.exists(),
        "{} is still there",
        directory.display()
    );
    assert_eq!(two.psql("postgres", "SELECT 1")?, "1\n");
    Ok(())
}

#[test]
fn a_server_goes_away_when_its_owner_is_killed() -> Result<()> {
    // This test runs itself again as the owner, with a variable that says so.
    const OWNER: &str = "TTHOST_TESTS_OWNER";
    let temporary = tempfile::tempdir()?;
    let note = temporary.path().join("where");
    if let Some(note) = std::env::var_os(OWNER) {
        let postgres = Postgres::start()?;
        let unfinished = PathBuf::from(&note).with_extension("unfinished");
        fs::write(
            &unfinished,
            postgres.socket_directory().to_str().context("not UTF-8")?,
        )?;
        fs::rename(unfinished, note)?;
        sleep(Duration::from_mins(10));
        return Ok(());
    }
    let mut owner = Command::new(std::env::current_exe()?)
        .args([
            "--exact",
            "parts::a_server_goes_away_when_its_owner_is_killed",
        ])
        .env(OWNER, &note)
        .stdout(Stdio::null())
        .spawn()?;
    wait_until("the server runs", || note.exists())?;
    let directory = PathBuf::from(fs::read_to_string(&note)?);
    ensure!(directory.join(".s.PGSQL.5432").exists());
    owner.kill()?;
    owner.wait()?;
    wait_until("the server is gone", || !directory.exists())
}

#[test]
fn a_password_is_asked_for() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut psql = postgres.client("psql", "postgres");
    psql.env("PGPASSWORD", "wrong")
        .args(["-X", "-c", "SELECT 1"]);
    command::run(&mut psql)?.expect_failure(2, &["password authentication failed"])?;
    Ok(())
}

#[test]
fn failing_sql_is_an_error_with_the_servers_message() -> Result<()> {
    let postgres = Postgres::start()?;
    let error = postgres
        .psql("postgres", "SELECT 1; SELECT * FROM nothing_here; SELECT 2")
        .unwrap_err();
    ensure!(
        error
            .to_string()
            .contains("\"nothing_here\" does not exist"),
        "{error}"
    );
    Ok(())
}

#[test]
fn restic_and_rustic_read_each_other() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let restic = Restic::at(directory.path().join("repository"), "pässword")?;
    let other = Rustic::at(restic.repository(), "pässword")?;
    restic.init()?;
    restic.backup_stdin("one.sql", b"from restic")?;
    other.backup_stdin("two.sql", b"from rustic")?;
    let snapshots = restic.snapshots()?;
    assert_eq!(snapshots.len(), 2);
    let ids: Vec<&str> = snapshots
        .iter()
        .filter_map(|snapshot| snapshot["id"].as_str())
        .collect();
    assert_eq!(restic.files(ids[0])?, ["/one.sql"]);
    assert_eq!(restic.dump(ids[0], "/one.sql")?, b"from restic");
    assert_eq!(other.dump(ids[0], "/one.sql")?, b"from restic");
    assert_eq!(
        other.dump(ids[1], &restic.files(ids[1])?[0])?,
        b"from rustic"
    );
    other.snapshots()?;
    restic.check()?;
    other.check()
}

#[test]
fn a_check_finds_a_damaged_repository() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let restic = Restic::at(directory.path().join("repository"), "secret")?;
    restic.init()?;
    restic.backup_stdin("one.sql", &[7; 5000])?;
    restic.check()?;
    let packs = tthost_tests::files::read_tree(&restic.repository().join("data"))?;
    let (pack, mut contents) = packs.into_iter().next().context("no pack")?;
    contents[100] ^= 1;
    let path = restic.repository().join("data").join(pack);
    fs::remove_file(&path)?;
    fs::write(&path, contents)?;
    ensure!(restic.check().is_err());
    let other = Rustic::at(restic.repository(), "secret")?;
    ensure!(other.check().is_err());
    Ok(())
}

#[test]
fn a_small_file_system_fills_up_and_goes_away() -> Result<()> {
    let tmpfs = Tmpfs::mount(1 << 20)?;
    let file = tmpfs.path().join("file");
    fs::write(&file, vec![1; 500_000])?;
    let error = fs::write(tmpfs.path().join("more"), vec![1; 1_000_000]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::metadata(&file)?.len(), 500_000);
    drop(tmpfs);
    ensure!(!file.exists());
    Ok(())
}

#[test]
fn a_missing_program_is_named_with_its_remedy() {
    let error = command::require("no-such-program", "run `apt-get install it`").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`no-such-program` is not installed: run `apt-get install it`"
    );
}

#[test]
fn a_failure_shows_the_command_and_what_it_wrote() -> Result<()> {
    let outcome: Outcome =
        command::run(Command::new("sh").args(["-c", "echo out; echo Err >&2; exit 3"]))?;
    let text = outcome.describe();
    for part in [
        "`sh -c 'echo out; echo Err >&2; exit 3'`",
        "exit status: 3",
        "--- stdout\nout",
        "--- stderr\nErr",
    ] {
        ensure!(text.contains(part), "{part:?} is not in {text}");
    }
    outcome
        .expect_failure(3, &["err"])?
        .expect_failure(4, &[])
        .unwrap_err();
    Ok(())
}
