//! What psql would run of a dump does not run, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command::Outcome;
use tthost_tests::scene::Scene;

/// Where a dump is restored that another program has stored.
const TARGET: &str = "target";

/// A database to restore into, and a file whose mode a command would change.
struct Fixture {
    scene: Scene,
    evidence: PathBuf,
}

impl Fixture {
    fn new() -> Result<Self> {
        let mut scene = Scene::new()?;
        let configuration = scene.configuration(&[TARGET])?;
        scene.configure(&configuration)?;
        scene.postgres.create_database(TARGET)?;
        let evidence = scene.directory().join("evidence");
        fs::write(&evidence, "")?;
        Ok(Self { scene, evidence })
    }

    /// Stores a dump under this name as another program would, and restores it.
    fn restore(&self, name: &str, dump: &str) -> Result<Outcome> {
        self.scene.restic.backup_stdin(name, dump.as_bytes())?;
        let snapshots = self.scene.restic.snapshots()?;
        let last = snapshots.last().context("there is a snapshot")?;
        let id = last["id"].as_str().context("it has an id")?;
        let restore = ["restore", id, "--source", "postgres", "--yes"];
        self.scene.tthost.run(&restore)
    }

    fn mode(&self) -> Result<u32> {
        Ok(fs::metadata(&self.evidence)?.permissions().mode() & 0o777)
    }

    fn tables(&self, database: &str) -> Result<String> {
        let tables = "SELECT relname FROM pg_class WHERE relname LIKE 'dumped%' ORDER BY 1";
        self.scene.postgres.psql(database, tables)
    }

    /// A dump with these lines between two tables.
    fn dump(lines: &str) -> String {
        format!(
            "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.dumped (a integer, b text);\n{lines}\n\
             COPY public.dumped (a, b) FROM stdin;\n1\tone\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n"
        )
    }
}

#[test]
fn a_command_in_a_dump_does_not_run_and_nothing_is_restored() -> Result<()> {
    let fixture = Fixture::new()?;
    let before = fixture.mode()?;
    let chmod = format!("chmod 777 {}", fixture.evidence.display());
    for command in [
        format!("\\! {chmod}"),
        format!("SELECT 1; \\! {chmod}"),
        format!("\\copy (select 1) to program '{chmod}'"),
        format!("\\o |{chmod}"),
        format!("\\g |{chmod}"),
        format!("\\! {chmod}\r"),
        format!("\\set x `{chmod}`"),
        format!("SELECT (1;\nCOPY public.dumped (a, b) FROM stdin;\n\\! {chmod}\n);"),
        format!("copy public.dumped from stdin;\n'\n\\.\n\\! {chmod}\n--'"),
    ] {
        let outcome = fixture.restore("target.sql", &Fixture::dump(&command))?;
        outcome.expect_failure(1, &["source postgres", "target.sql", "line "])?;
        ensure!(fixture.mode()? == before, "{command}");
        ensure!(fixture.tables(TARGET)?.is_empty(), "{command}");
    }
    Ok(())
}

#[test]
fn data_that_looks_like_commands_is_restored() -> Result<()> {
    let fixture = Fixture::new()?;
    let before = fixture.mode()?;
    let chmod = format!("\\! chmod 777 {}", fixture.evidence.display());
    let function = format!(
        "CREATE FUNCTION public.dumped_text() RETURNS text LANGUAGE sql AS $x$ SELECT '\n{chmod}\n' $x$;\n\
         COMMENT ON TABLE public.dumped IS 'it''s {chmod}';"
    );
    let rows = format!("COPY public.dumped (a, b) FROM stdin;\n2\t\\{chmod}\n3\t\\N\n\\.\n");
    let dump = Fixture::dump(&format!("{function}\n{rows}"));
    for (name, dump) in [
        ("target.sql", dump.clone()),
        ("target.sql", dump.replace('\n', "\r\n")),
    ] {
        fixture.restore(name, &dump)?.success()?;
        let rows = fixture
            .scene
            .postgres
            .psql(TARGET, "SELECT count(*) FROM dumped")?;
        ensure!(rows.trim() == "3", "{rows}");
        let drop = "DROP TABLE dumped; DROP FUNCTION dumped_text";
        fixture.scene.postgres.psql(TARGET, drop)?;
    }
    ensure!(fixture.mode()? == before);
    Ok(())
}

#[test]
fn another_programs_dump_goes_into_the_database_that_the_source_names() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture
        .restore("database.sql", &Fixture::dump(""))?
        .success()?;
    ensure!(fixture.tables(TARGET)?.trim() == "dumped");
    ensure!(
        fixture.tables("postgres")?.is_empty(),
        "it went into libpq's default database"
    );

    let two = fixture.scene.configuration(&[TARGET, "other"])?;
    fixture.scene.configure(&two)?;
    let outcome = fixture.restore("database.sql", &Fixture::dump(""))?;
    outcome.expect_failure(1, &["database.sql", "--target", "target, other"])?;
    ensure!(fixture.tables("postgres")?.is_empty());
    Ok(())
}

#[test]
fn a_dump_that_ends_its_transaction_is_not_restored() -> Result<()> {
    let fixture = Fixture::new()?;
    let outcome = fixture.restore("target.sql", &Fixture::dump("COMMIT;"))?;
    outcome.expect_failure(1, &["target.sql", "COMMIT"])?;
    ensure!(fixture.tables(TARGET)?.is_empty());
    Ok(())
}
