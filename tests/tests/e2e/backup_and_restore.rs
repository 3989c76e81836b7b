//! A real database goes into a repository and comes back as it was.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tthost_tests::command;
use tthost_tests::files::read_tree;
use tthost_tests::fingerprint::Fingerprint;
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::postgres::Postgres;
use tthost_tests::shop;

const RESTORE: [&str; 4] = ["restore", "latest", "--sink", "restic-local"];

/// The arguments that restore the latest snapshot through the source into a database.
fn into_database(database: &str) -> Vec<&str> {
    [
        &RESTORE[..],
        &["--yes", "--source", "postgres", "--target", database],
    ]
    .concat()
}

/// Restores the latest snapshot through the source into a new database, and compares.
fn expect_round_trip(fixture: &Fixture) -> Result<()> {
    let original = Fingerprint::of(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    fixture.expect_sound(1)?;
    fixture.postgres.create_database("copy")?;
    fixture.tthost.ok(&into_database("copy"))?;
    let copy = Fingerprint::of(&fixture.postgres, "copy")?;
    assert_eq!(original.difference(&copy), "");
    assert_eq!(
        original.difference(&Fingerprint::of(&fixture.postgres, DATABASE)?),
        ""
    );
    Ok(())
}

#[test]
fn a_database_comes_back_exactly_without_any_configuration() -> Result<()> {
    expect_round_trip(&Fixture::new()?)
}

#[test]
fn an_archive_comes_back_exactly() -> Result<()> {
    for (format, beginning) in [("custom", "PGDMP"), ("tar", "toc.dat\0")] {
        let mut fixture = Fixture::new()?;
        let mut configuration = fixture.configuration(&[DATABASE])?;
        let _ = writeln!(configuration.options, "format = \"{format}\"");
        fixture.configure(&configuration)?;
        expect_round_trip(&fixture)?;
        let dump = dump_of(&fixture, "shop")?;
        ensure!(
            dump.starts_with(beginning.as_bytes()),
            "not pg_dump's {format} format"
        );
        // Uncompressed, so that it deduplicates: some text of the shop stands in it as it is.
        ensure!(contains(&dump, "Gießkanne".as_bytes()));
    }
    Ok(())
}

#[test]
fn several_databases_are_files_of_one_snapshot() -> Result<()> {
    let mut fixture = Fixture::new()?;
    shop::open(&fixture.postgres, "filiale", 1)?;
    shop::trade(&fixture.postgres, "filiale")?;
    fixture.configure(&fixture.configuration(&[DATABASE, "filiale"])?)?;
    fixture.back_up()?;
    fixture.expect_sound(1)?;
    assert_eq!(fixture.restic.files("latest")?.len(), 2);
    for database in [DATABASE, "filiale"] {
        let copy = format!("copy of {database}");
        fixture.postgres.create_database(&copy)?;
        feed_psql(&fixture.postgres, &copy, &dump_of(&fixture, database)?)?;
        let original = Fingerprint::of(&fixture.postgres, database)?;
        assert_eq!(
            original.difference(&Fingerprint::of(&fixture.postgres, &copy)?),
            ""
        );
    }
    Ok(())
}

#[test]
fn roles_are_an_entry_of_their_own_that_another_server_takes() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.options += "globals = true\n";
    fixture.configure(&configuration)?;
    fixture.back_up()?;
    fixture.expect_sound(1)?;
    let roles = dump_of(&fixture, "globals")?;
    ensure!(contains(&roles, b"CREATE ROLE shop_clerk"));

    let other = Postgres::start()?;
    // The superuser exists there already; everything else must be new.
    let text = String::from_utf8(roles)?;
    let roles: Vec<&str> = text
        .lines()
        .filter(|line| *line != "CREATE ROLE postgres;")
        .collect();
    feed_psql(&other, "postgres", roles.join("\n").as_bytes())?;
    feed_psql(&other, DATABASE, &dump_of(&fixture, "shop")?)?;
    let original = Fingerprint::of(&fixture.postgres, DATABASE)?;
    assert_eq!(original.difference(&Fingerprint::of(&other, DATABASE)?), "");
    Ok(())
}

#[test]
fn restoring_to_standard_output_gives_what_restic_dumps() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    let restored = fixture.tthost.ok(&[&RESTORE[..], &["--stdout"]].concat())?;
    let dumped = dump_of(&fixture, "")?;
    ensure!(
        restored.stdout == dumped,
        "{} and {} bytes",
        restored.stdout.len(),
        dumped.len()
    );
    ensure!(contains(&dumped, b"PostgreSQL database dump complete"));
    Ok(())
}

#[test]
fn restoring_to_a_directory_gives_what_restic_restores() -> Result<()> {
    let mut fixture = Fixture::new()?;
    shop::open(&fixture.postgres, "filiale", 1)?;
    fixture.configure(&fixture.configuration(&[DATABASE, "filiale"])?)?;
    fixture.back_up()?;
    let (ours, theirs) = (
        fixture.directory().join("ours"),
        fixture.directory().join("theirs"),
    );
    fixture
        .tthost
        .ok(&[&RESTORE[..], &["--to", text(&ours)?]].concat())?;
    fixture.restic.restore("latest", &theirs)?;
    let (ours, theirs) = (read_tree(&ours)?, read_tree(&theirs)?);
    assert_eq!(ours.len(), 2);
    ensure!(ours == theirs, "{:?} and {:?}", ours.keys(), theirs.keys());
    Ok(())
}

#[test]
fn an_earlier_snapshot_comes_back_by_the_start_of_its_id() -> Result<()> {
    let fixture = Fixture::new()?;
    let morning = Fingerprint::of(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    shop::trade(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    fixture.expect_sound(2)?;
    let snapshots = fixture.restic.snapshots()?;
    let first = snapshots[0]["id"].as_str().context("no id")?;
    fixture.postgres.create_database("copy")?;
    let mut restore = into_database("copy");
    restore[1] = &first[..10];
    fixture.tthost.ok(&restore)?;
    assert_eq!(
        morning.difference(&Fingerprint::of(&fixture.postgres, "copy")?),
        ""
    );
    Ok(())
}

#[test]
fn a_restore_that_meets_an_error_leaves_the_database_as_it_was() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    // With or without `--clean`, the dump cannot go where another view needs its tables.
    shop::open(&fixture.postgres, "busy", 1)?;
    fixture.postgres.psql(
        "busy",
        "CREATE VIEW mine AS SELECT id, name FROM shop.customers",
    )?;
    let before = Fingerprint::of(&fixture.postgres, "busy")?;
    let in_place = [&into_database("busy")[..], &["--in-place"]].concat();
    fixture.tthost.fails(&in_place, 1, &["postgres", "psql"])?;
    assert_eq!(
        before.difference(&Fingerprint::of(&fixture.postgres, "busy")?),
        ""
    );
    Ok(())
}

#[test]
fn restoring_over_a_database_waits_for_a_yes() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    shop::open(&fixture.postgres, "other", 1)?;
    shop::trade(&fixture.postgres, "other")?;
    let before = Fingerprint::of(&fixture.postgres, "other")?;
    let mut restore = into_database("other");
    restore.retain(|argument| *argument != "--yes");
    fixture.tthost.fails(&restore, 1, &["--yes"])?;
    restore.push("--dry-run");
    fixture.tthost.ok(&restore)?;
    assert_eq!(
        before.difference(&Fingerprint::of(&fixture.postgres, "other")?),
        ""
    );
    Ok(())
}

#[test]
fn a_dry_run_stores_nothing() -> Result<()> {
    let fixture = Fixture::new()?;
    let before = read_tree(fixture.restic.repository())?;
    fixture.tthost.ok(&[&RUN[..], &["--dry-run"]].concat())?;
    ensure!(read_tree(fixture.restic.repository())? == before);
    Ok(())
}

/// The one file of the latest snapshot whose path holds `name`, by the real restic.
fn dump_of(fixture: &Fixture, name: &str) -> Result<Vec<u8>> {
    let files = fixture.restic.files("latest")?;
    let matching: Vec<&String> = files.iter().filter(|path| path.contains(name)).collect();
    let [path] = matching[..] else {
        anyhow::bail!("not exactly one file named like {name:?}: {files:?}");
    };
    fixture.restic.dump("latest", path)
}

fn feed_psql(postgres: &Postgres, database: &str, sql: &[u8]) -> Result<()> {
    let mut psql = postgres.client("psql", database);
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    command::run_with_input(&mut psql, sql)?.success().map(drop)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
