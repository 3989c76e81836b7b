//! All databases of a server: odd names, and those that cannot be dumped.

use anyhow::{Result, ensure};
use tthost_tests::fixture::{Fixture, RUN};

/// Names that are hard to keep as they are.
const ODD: [&str; 4] = ["a/b", "globals", "it's \"odd\" é", "50%"];

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
    Ok(())
}
