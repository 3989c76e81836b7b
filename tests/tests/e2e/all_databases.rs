//! All databases of a server: odd names, those that cannot be dumped, and what makes a database besides its contents.

use anyhow::{Result, ensure};
use tthost_tests::command;
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::postgres::Postgres;

/// Names that are hard to keep as they are.
const ODD: [&str; 5] = ["a/b", "globals", "it's \"odd\" é", "50%", "-x"];

#[test]
fn roles_that_cannot_be_made_are_told_and_those_that_are_there_are_none() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.options = format!("databases = [\"{DATABASE}\"]\nglobals = true\n");
    fixture.configure(&configuration)?;
    let restore = [
        "restore",
        "latest",
        "--source",
        "postgres",
        "--path",
        "/globals.sql",
        "--yes",
    ];
    for (globals, code) in [
        ("CREATE ROLE zed;\nCREATE ROLE postgres;\n", 0),
        (
            "CREATE ROLE zed;\nCREATE ROLE \"pg_bad\";\nALTER ROLE nobody_here LOGIN;\n",
            3,
        ),
    ] {
        let globals = format!("{globals}-- PostgreSQL database cluster dump complete\n");
        fixture
            .restic
            .backup_stdin("globals.sql", globals.as_bytes())?;
        fixture.restic.tag_latest("postgres")?;
        let restored = fixture.tthost.run(&restore)?;
        ensure!(
            restored.status.code() == Some(code),
            "{}",
            restored.describe()
        );
        ensure!(
            restored
                .stderr
                .contains("2 statements of globals.sql failed")
                == (code == 3)
        );
    }
    let roles = fixture.postgres.psql(
        "postgres",
        "SELECT rolname FROM pg_roles WHERE rolname = 'zed'",
    )?;
    assert_eq!(roles.trim(), "zed");
    // Another target has no roles of its own.
    let elsewhere = [&restore[..], &["--target", "copy"]].concat();
    let restored = fixture.tthost.run(&elsewhere)?;
    ensure!(
        restored.stderr.contains("globals.sql is left out"),
        "{}",
        restored.describe()
    );
    Ok(())
}

#[test]
fn odd_databases_are_backed_up_and_what_cannot_be_is_named_or_excluded() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let postgres = &fixture.postgres;
    for database in ODD {
        postgres.create_database(database)?;
        postgres.psql(database, "CREATE TABLE kept AS SELECT 42 AS answer")?;
    }
    postgres.psql(
        "postgres",
        "CREATE DATABASE closed ALLOW_CONNECTIONS false;\n\
         CREATE DATABASE broken;\n\
         UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken';",
    )?;
    let mut configuration = fixture.configuration(&[])?;
    configuration.options = "databases = \"all\"\nglobals = true\n".into();
    fixture.configure(&configuration)?;
    fixture.tthost.fails(
        &RUN,
        3,
        &[
            "\"broken\" is not dumped: it is invalid",
            "\"closed\" is not dumped: it allows no connections",
            "2 databases are not in the snapshot",
        ],
    )?;

    configuration
        .options
        .push_str("exclude-databases = [\"clo*\", \"broke?\"]\n");
    fixture.configure(&configuration)?;
    fixture.back_up()?;
    for (database, file) in ODD.into_iter().zip([
        "/a%2Fb.sql",
        "/%67lobals.sql",
        "/it's \"odd\" é.sql",
        "/50%25.sql",
        "/-x.sql",
    ]) {
        let drop = format!("DROP DATABASE \"{}\"", database.replace('"', "\"\""));
        fixture.postgres.psql("postgres", &drop)?;
        fixture.postgres.create_database(database)?;
        let restore = [
            "restore", "latest", "--source", "postgres", "--yes", "--path", file,
        ];
        fixture.tthost.ok(&restore)?;
        let answer = fixture.postgres.psql(database, "SELECT answer FROM kept")?;
        ensure!(answer.trim() == "42", "{database}: {answer}");
    }
    // In the place of one that holds something.
    let restore = ["restore", "latest", "--source", "postgres", "--yes"];
    fixture
        .tthost
        .ok(&[&restore[..], &["--path", "/-x.sql"]].concat())?;
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE '-x\\_before\\_%'";
    let kept = fixture.postgres.psql("postgres", kept)?;
    assert_eq!(kept.trim(), "1");
    Ok(())
}

/// What `pg_dumpall` says of a server, without what differs each time.
fn everything(postgres: &Postgres) -> Result<String> {
    let mut dump = postgres.client("pg_dumpall", "postgres");
    let dump = command::run(&mut dump)?.success()?;
    let is_stable = |line: &&str| !line.contains("restrict ");
    let lines: Vec<_> = dump.text()?.lines().filter(is_stable).collect();
    Ok(lines.join("\n"))
}

#[test]
fn an_empty_server_becomes_the_same_by_one_restoration() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.postgres.create_database("it's \"odd\" é")?;
    fixture.postgres.psql(
        "postgres",
        "CREATE ROLE owner; CREATE ROLE clerk LOGIN PASSWORD 'clerk' IN ROLE owner;
         ALTER ROLE clerk SET work_mem = '8MB';
         CREATE DATABASE accounts OWNER owner TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
         ALTER DATABASE accounts SET search_path = a, \"$user\", \"it's\"; ALTER DATABASE accounts SET work_mem = '9MB';
         ALTER ROLE clerk IN DATABASE accounts SET timezone = 'Europe/Berlin';
         ALTER DATABASE accounts CONNECTION LIMIT 7; COMMENT ON DATABASE accounts IS 'it''s ours';
         REVOKE ALL ON DATABASE accounts FROM PUBLIC; GRANT CONNECT ON DATABASE accounts TO clerk WITH GRANT OPTION;
         ALTER DATABASE shop OWNER TO owner; REVOKE TEMPORARY ON DATABASE shop FROM owner;",
    )?;
    fixture.postgres.psql(
        "accounts",
        "CREATE TABLE public.kept AS SELECT 42 AS answer; ALTER TABLE public.kept OWNER TO owner;
         ALTER DATABASE accounts SET default_transaction_read_only = on",
    )?;
    for format in ["plain", "custom"] {
        let mut configuration = fixture.configuration(&[DATABASE])?;
        configuration.options =
            format!("databases = \"all\"\nglobals = true\nformat = \"{format}\"\n");
        fixture.configure(&configuration)?;
        fixture.back_up()?;
        let before = everything(&fixture.postgres)?;

        let empty = Postgres::start()?;
        configuration.environment = empty.environment("postgres");
        fixture.configure(&configuration)?;
        let restore = ["restore", "latest", "--source", "postgres", "--yes"];
        fixture.tthost.ok(&restore)?;
        let after = everything(&empty)?;
        assert_eq!(before, after, "{format}");
        let databases = empty.psql("postgres", "SELECT count(*) FROM pg_database")?;
        ensure!(databases.trim() == "6", "{databases}");
    }
    Ok(())
}

#[test]
fn a_restoration_that_fails_leaves_a_database_as_it_was_with_all_its_settings() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.options.push_str("globals = true\n");
    configuration.dump_with_script(
        "printf -- '--\n-- PostgreSQL database dump\n--\n\nSELECT 1 / 0;\n--\n-- PostgreSQL database dump complete\n--\n\n'",
    );
    fixture.configure(&configuration)?;
    let set = |limit: u32, comment: &str| {
        let sql = format!(
            "ALTER DATABASE shop CONNECTION LIMIT {limit}; ALTER DATABASE shop SET work_mem = '{limit}MB';
             COMMENT ON DATABASE shop IS '{comment}'"
        );
        fixture.postgres.psql("postgres", &sql)
    };
    set(5, "old")?;
    fixture.back_up()?;
    set(7, "new")?;
    let before = everything(&fixture.postgres)?;
    let restore = ["restore", "latest", "--source", "postgres", "--yes"];
    fixture.tthost.fails(&restore, 1, &["division by zero"])?;
    assert_eq!(before, everything(&fixture.postgres)?);
    Ok(())
}
