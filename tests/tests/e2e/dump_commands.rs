//! What psql would run of a dump does not run, and changes nothing.

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command::{self, Outcome};
use tthost_tests::fixture::Fixture;

/// Where a dump is restored that another program has stored.
const TARGET: &str = "target";

/// A database to restore into, and somebody whom a command would call: confined or not, it may use the network.
struct DumpFixture {
    fixture: Fixture,
    listener: TcpListener,
}

impl DumpFixture {
    fn new() -> Result<Self> {
        let mut fixture = Fixture::new()?;
        let configuration = fixture.configuration(&[TARGET])?;
        fixture.configure(&configuration)?;
        fixture.postgres.create_database(TARGET)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self { fixture, listener })
    }

    /// Stores a dump under this name as another program would, and restores it.
    fn restore(&self, name: &str, dump: &str) -> Result<Outcome> {
        self.restore_bytes(name, dump.as_bytes())
    }

    /// The same with what need not be UTF-8.
    fn restore_bytes(&self, name: &str, dump: &[u8]) -> Result<Outcome> {
        self.fixture.restic.backup_stdin(name, dump)?;
        let snapshots = self.fixture.restic.snapshots()?;
        let last = snapshots.last().context("there is a snapshot")?;
        let id = last["id"].as_str().context("it has an id")?;
        let restore = ["restore", id, "--source", "postgres", "--yes"];
        self.fixture.tthost.run(&restore)
    }

    /// A command of the shell.
    fn call(&self) -> Result<String> {
        let port = self.listener.local_addr()?.port();
        Ok(format!("bash -c \"echo >/dev/tcp/127.0.0.1/{port}\""))
    }

    /// Whether it ran.
    fn was_called(&self) -> bool {
        self.listener.accept().is_ok()
    }

    fn tables(&self, database: &str) -> Result<String> {
        let tables = "SELECT relname FROM pg_class WHERE relname LIKE 'dumped%' ORDER BY 1";
        self.fixture.postgres.psql(database, tables)
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
    let dumps = DumpFixture::new()?;
    let call = dumps.call()?;
    for command in [
        format!("\\! {call}"),
        format!("SELECT 1; \\! {call}"),
        format!("\\copy (select 1) to program '{call}'"),
        format!("\\o |{call}"),
        format!("\\g |{call}"),
        format!("\\! {call}\r"),
        format!("\\set x `{call}`"),
        format!("SELECT (1;\nCOPY public.dumped (a, b) FROM stdin;\n\\! {call}\n);"),
        format!("copy public.dumped from stdin;\n'\n\\.\n\\! {call}\n--'"),
    ] {
        let outcome = dumps.restore("target.sql", &DumpFixture::dump(&command))?;
        outcome.expect_failure(1, &["source postgres", "target.sql", "line "])?;
        ensure!(!dumps.was_called(), "{command}");
        ensure!(dumps.tables(TARGET)?.is_empty(), "{command}");
    }
    Ok(())
}

#[test]
fn a_command_that_a_setting_turns_into_one_does_not_run() -> Result<()> {
    let dumps = DumpFixture::new()?;
    let call = format!("\\! {}", dumps.call()?);
    let way_out = format!("\\unrestrict `{}`", dumps.call()?);
    // Whoever knows nothing of these settings takes the command for the text of a string.
    let in_sjis = |command: &str| {
        [
            b"SELECT set_config('client_' || 'encoding', 'SJIS', false);\nSELECT E'\x81\\';\n",
            command.as_bytes(),
            b"\n--';",
        ]
        .concat()
    };
    let other_strings = format!(
        "SELECT set_config('standard_conforming' || '_strings', 'off', false);\n\
         SELECT '\\' , '\n{call}\n';"
    );
    for (lines, why) in [
        (other_strings.into_bytes(), ""),
        (in_sjis(&call), "backslash commands are restricted"),
        // The first versions of psql that can be restricted run what stands in it.
        (in_sjis(&way_out), "unrestrict"),
        (
            format!("SELECT 1 :e'\\'\n{call}\n';").into_bytes(),
            "line 6 ",
        ),
        (
            format!(
                "COPY public.dumped (b) FROM '/dev/null' WHERE b IS DISTINCT FROM stdin;\n{call}\n\\."
            )
            .into_bytes(),
            "line 6 ",
        ),
        (
            b"SET client_encoding = 'SJIS';\nSELECT 1;".to_vec(),
            "encoding",
        ),
    ] {
        let dump = DumpFixture::dump("@");
        let (before, after) = dump.split_once('@').context("it has a place")?;
        let dump = [before.as_bytes(), &lines, after.as_bytes()].concat();
        let outcome = dumps.restore_bytes("target.sql", &dump)?;
        outcome.expect_failure(1, &["target.sql", why])?;
        ensure!(!dumps.was_called(), "{}", String::from_utf8_lossy(&lines));
        ensure!(dumps.tables(TARGET)?.is_empty());
    }
    Ok(())
}

#[test]
fn data_that_looks_like_commands_is_restored() -> Result<()> {
    let dumps = DumpFixture::new()?;
    let call = format!("\\! {}", dumps.call()?);
    let function = format!(
        "CREATE FUNCTION public.dumped_text() RETURNS text LANGUAGE sql AS $x$ SELECT '\n{call}\n' $x$;\n\
         COMMENT ON TABLE public.dumped IS 'it''s {call}';"
    );
    let rows = format!("COPY public.dumped (a, b) FROM stdin;\n2\t\\{call}\n3\t\\N\n\\.\n");
    let dump = DumpFixture::dump(&format!("{function}\n{rows}"));
    for (name, dump) in [
        ("target.sql", dump.clone()),
        ("target.sql", dump.replace('\n', "\r\n")),
    ] {
        dumps.restore(name, &dump)?.success()?;
        let rows = dumps
            .fixture
            .postgres
            .psql(TARGET, "SELECT count(*) FROM dumped")?;
        ensure!(rows.trim() == "3", "{rows}");
        let drop = "DROP TABLE dumped; DROP FUNCTION dumped_text";
        dumps.fixture.postgres.psql(TARGET, drop)?;
    }
    ensure!(!dumps.was_called());
    Ok(())
}

#[test]
fn another_programs_dump_goes_into_the_database_that_the_source_names() -> Result<()> {
    let mut dumps = DumpFixture::new()?;
    dumps
        .restore("database.sql", &DumpFixture::dump(""))?
        .success()?;
    ensure!(dumps.tables(TARGET)?.trim() == "dumped");
    ensure!(
        dumps.tables("postgres")?.is_empty(),
        "it went into libpq's default database"
    );

    let two = dumps.fixture.configuration(&[TARGET, "other"])?;
    dumps.fixture.configure(&two)?;
    let outcome = dumps.restore("database.sql", &DumpFixture::dump(""))?;
    outcome.expect_failure(1, &["database.sql", "--target", "target, other"])?;
    ensure!(dumps.tables("postgres")?.is_empty());
    Ok(())
}

#[test]
fn a_dump_that_ends_its_transaction_is_not_restored() -> Result<()> {
    let dumps = DumpFixture::new()?;
    // psql takes this for one statement, and the server does not.
    let hidden = "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'; END; SELECT 1;";
    for lines in ["COMMIT;", "PREPARE TRANSACTION 'x';", hidden] {
        let outcome = dumps.restore("target.sql", &DumpFixture::dump(lines))?;
        outcome.expect_failure(1, &["target.sql", "line "])?;
        ensure!(dumps.tables(TARGET)?.is_empty(), "{lines}");
    }
    let prepared = DumpFixture::dump("PREPARE x AS SELECT 1; EXECUTE x;");
    dumps.restore("target.sql", &prepared)?.success()?;
    ensure!(dumps.tables(TARGET)?.trim() == "dumped");
    Ok(())
}

#[test]
fn an_archive_that_ends_its_transaction_is_not_restored() -> Result<()> {
    const PLACE: &str = "the place of something else";
    let dumps = DumpFixture::new()?;
    let postgres = &dumps.fixture.postgres;
    postgres.create_database("forge")?;
    let table = format!(
        "CREATE TABLE dumped (a integer, b text); INSERT INTO dumped VALUES (1, '{PLACE}');
         COMMENT ON TABLE dumped IS '{PLACE}'; CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    );
    postgres.psql("forge", &table)?;
    for (format, file, end, said) in [
        (
            "custom",
            "target.dump",
            "'; COMMIT; --",
            "(COMMENT TABLE dumped): COMMIT",
        ),
        (
            "tar",
            "target.tar",
            "'; COMMIT; --",
            "(COMMENT TABLE dumped): COMMIT",
        ),
        ("custom", "target.dump", "'); COMMIT; --", "rows of a table"),
        ("tar", "target.tar", "'); COMMIT; --", "rows of a table"),
    ] {
        let in_rows = said.starts_with("rows");
        let mut pg_dump = postgres.client("pg_dump", "forge");
        pg_dump.arg(format!("--format={format}"));
        if format == "custom" {
            pg_dump.arg("--compress=0");
        }
        if in_rows {
            pg_dump.arg("--inserts");
        }
        let archive = command::run(&mut pg_dump)?.success()?.stdout;
        let places = archive.windows(PLACE.len()).enumerate();
        let mut places = places.filter(|(_, window)| *window == PLACE.as_bytes());
        // The first one is in the table of contents.
        let place = places.nth(usize::from(in_rows));
        let (place, _) = place.context("it is there")?;
        let mut forged = archive.clone();
        let text = format!("{end:<width$}", width = PLACE.len());
        forged[place..place + PLACE.len()].copy_from_slice(text.as_bytes());
        let outcome = dumps.restore_bytes(file, &forged)?;
        outcome.expect_failure(1, &[file, said])?;
        ensure!(dumps.tables(TARGET)?.is_empty(), "{format} {said}");

        dumps.restore_bytes(file, &archive)?.success()?;
        let rows = postgres.psql(TARGET, "SELECT b FROM dumped")?;
        assert_eq!(rows.trim(), PLACE);
        postgres.psql(TARGET, "DROP TABLE dumped; DROP FUNCTION begin")?;
    }
    Ok(())
}

#[test]
fn a_dump_that_was_cut_is_not_restored_unless_it_is_asked_for() -> Result<()> {
    let mut dumps = DumpFixture::new()?;
    let whole = DumpFixture::dump("");
    let (cut, _) = whole.split_once("\nCOPY").context("it has rows")?;
    let (in_rows, _) = whole.split_once("\n\\.").context("it has rows")?;
    for dump in [cut, in_rows] {
        let outcome = dumps.restore("target.sql", &format!("{dump}\n"))?;
        outcome.expect_failure(1, &["target.sql"])?;
        ensure!(dumps.tables(TARGET)?.is_empty(), "{dump}");
    }
    let mut configuration = dumps.fixture.configuration(&[TARGET])?;
    configuration.options.push_str("unchecked = true\n");
    dumps.fixture.configure(&configuration)?;
    dumps
        .restore("target.sql", &format!("{cut}\n"))?
        .success()?;
    ensure!(dumps.tables(TARGET)?.trim() == "dumped");
    Ok(())
}
