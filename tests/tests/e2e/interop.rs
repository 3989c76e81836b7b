//! One repository format, three programs: what one writes, the others read.

use anyhow::{Context, Result, ensure};
use tthost_tests::command;
use tthost_tests::files::{read_tree, size};
use tthost_tests::fixture::{DATABASE, Fixture, PASSWORD};
use tthost_tests::restic::Restic;
use tthost_tests::shop;

/// Without the token that newer versions of `pg_dump` put into each dump, two dumps of
/// one database are the same.
const REPEATABLE_DUMP: &str = r#"pg_dump "$@" | grep -v -E '^\\(un)?restrict '"#;

/// A fixture whose shop has about 20 MB, some two dozen chunks, and whose dumps repeat.
fn larger_fixture() -> Result<Fixture> {
    let mut fixture = Fixture::new()?;
    shop::open(&fixture.postgres, "larger", 20)?;
    let mut configuration = fixture.configuration(&["larger"])?;
    configuration.dump_with_script(REPEATABLE_DUMP);
    fixture.configure(&configuration)?;
    Ok(fixture)
}

fn restored(fixture: &Fixture, snapshot: &str) -> Result<Vec<u8>> {
    let restore = ["restore", snapshot, "--sink", "restic-local", "--stdout"];
    Ok(fixture.tthost.ok(&restore)?.stdout)
}

#[test]
fn restic_and_rustic_find_no_fault_in_what_tthost_wrote() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    shop::trade(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    fixture.expect_sound(2)?;
    fixture.rustic()?.check()?;
    fixture
        .tthost
        .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    Ok(())
}

#[test]
fn rustic_reads_what_tthost_wrote() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    let files = fixture.restic.files("latest")?;
    let ours = fixture.rustic()?.dump("latest", &files[0])?;
    ensure!(ours == restored(&fixture, "latest")?);
    Ok(())
}

#[test]
fn tthost_reads_what_restic_wrote_in_every_version_and_compression() -> Result<()> {
    let mut fixture = Fixture::without_repository()?;
    let dump = command::run(&mut fixture.postgres.client("pg_dump", DATABASE))?
        .success()?
        .stdout;
    for (version, compression) in [("1", "auto"), ("2", "off"), ("2", "auto"), ("2", "max")] {
        let name = format!("version {version} {compression}");
        fixture.use_repository(&fixture.directory().join(&name))?;
        let mut init = fixture
            .restic
            .command(&["init", "--repository-version", version]);
        command::run(&mut init)?.success()?;
        let mut backup =
            fixture
                .restic
                .command(&["backup", "--stdin", "--stdin-filename", "database.sql"]);
        // Version 1 knows no compression, and restic refuses to be told one.
        if version == "2" {
            backup.env("RESTIC_COMPRESSION", compression);
        }
        command::run_with_input(&mut backup, &dump)?.success()?;
        ensure!(restored(&fixture, "latest")? == dump, "{name}");
        fixture
            .tthost
            .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    }
    Ok(())
}

#[test]
fn tthost_reads_what_rustic_wrote() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    let dump = command::run(&mut fixture.postgres.client("pg_dump", DATABASE))?
        .success()?
        .stdout;
    let rustic = fixture.rustic()?;
    rustic.init()?;
    rustic.backup_stdin("database.sql", &dump)?;
    ensure!(restored(&fixture, "latest")? == dump);
    fixture
        .tthost
        .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    fixture.back_up()?;
    fixture.expect_sound(2)?;
    rustic.check()
}

#[test]
fn a_repository_that_tthost_made_serves_restic() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    fixture.tthost.ok(&["init"])?;
    fixture.restic.backup_stdin("one.sql", b"from restic")?;
    fixture.back_up()?;
    fixture.expect_sound(2)?;
    fixture.rustic()?.check()
}

#[test]
fn a_second_run_of_the_same_dump_adds_almost_nothing() -> Result<()> {
    let fixture = larger_fixture()?;
    fixture.back_up()?;
    let once = size(fixture.restic.repository())?;
    fixture.back_up()?;
    let added = size(fixture.restic.repository())? - once;
    ensure!(added < 20_000, "{added} bytes more than {once}");
    fixture.expect_sound(2)
}

#[test]
fn a_changed_dump_adds_no_more_than_with_restic() -> Result<()> {
    let fixture = larger_fixture()?;
    fixture.back_up()?;
    let before = restored(&fixture, "latest")?;
    let once = size(fixture.restic.repository())?;
    shop::trade(&fixture.postgres, "larger")?;
    fixture.back_up()?;
    let after = restored(&fixture, "latest")?;
    let added = size(fixture.restic.repository())? - once;

    // Where the cuts fall, and so what a change costs, is a matter of the polynomial.
    let other = Restic::at(fixture.directory().join("other"), PASSWORD)?;
    other.init_like(&fixture.restic)?;
    other.backup_stdin("larger.sql", &before)?;
    let once = size(other.repository())?;
    other.backup_stdin("larger.sql", &after)?;
    let expected = size(other.repository())? - once;
    ensure!(
        added < expected + expected / 20 + 20_000,
        "tthost added {added} bytes where restic adds {expected}"
    );
    fixture.expect_sound(2)
}

#[test]
fn restic_and_tthost_cut_the_same_chunks() -> Result<()> {
    let fixture = larger_fixture()?;
    fixture.back_up()?;
    let dump = restored(&fixture, "latest")?;
    let once = size(fixture.restic.repository())?;
    fixture.restic.backup_stdin("again.sql", &dump)?;
    let added = size(fixture.restic.repository())? - once;
    ensure!(added < 20_000, "restic added {added} bytes to {once}");

    // The other way round, in a repository of its own.
    let other = Restic::at(fixture.directory().join("other"), PASSWORD)?;
    other.init()?;
    other.backup_stdin("first.sql", &dump)?;
    let mut fixture = fixture;
    fixture.use_repository(other.repository())?;
    let mut configuration = fixture.configuration(&["larger"])?;
    configuration.dump_with_script(REPEATABLE_DUMP);
    fixture.configure(&configuration)?;
    let once = size(other.repository())?;
    fixture.back_up()?;
    let added = size(other.repository())? - once;
    ensure!(added < 20_000, "tthost added {added} bytes to {once}");
    fixture.expect_sound(2)
}

#[test]
fn tthost_goes_on_after_restic_forgot_and_pruned() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    shop::trade(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    command::run(
        &mut fixture
            .restic
            .command(&["forget", "--keep-last", "1", "--prune"]),
    )?
    .success()?;
    fixture.expect_sound(1)?;
    fixture.back_up()?;
    fixture.expect_sound(2)
}

#[test]
fn every_file_of_the_repository_is_named_after_its_contents() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    for (path, _) in read_tree(fixture.restic.repository())? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("not UTF-8")?;
        if name == "config" {
            continue;
        }
        let mut sum = std::process::Command::new("sha256sum");
        let sum = command::run(sum.arg(fixture.restic.repository().join(&path)))?.success()?;
        ensure!(
            sum.text()?.starts_with(name),
            "{}: {}",
            path.display(),
            sum.text()?
        );
    }
    Ok(())
}

#[test]
fn tthost_lists_the_snapshots_that_restic_lists() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.restic.backup_stdin("one.sql", b"from restic")?;
    fixture.tthost.ok(&[
        "run",
        "--source",
        "postgres",
        "--sink",
        "restic-local",
        "--tag",
        "nightly",
        "--host",
        "db1",
    ])?;
    let theirs = fixture.restic.snapshots()?;
    let list = fixture
        .tthost
        .ok(&["snapshots", "--sink", "restic-local", "--json"])?
        .json()?;
    let ours = list["snapshots"].as_array().context("not a list")?;
    assert_eq!(ours.len(), 2);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for key in ["id", "short_id", "hostname", "username", "paths"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
    assert_eq!(theirs[1]["hostname"], "db1");
    assert_eq!(
        theirs[1]["tags"],
        serde_json::json!(["postgres", "nightly"])
    );
    Ok(())
}
