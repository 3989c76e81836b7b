//! The arguments of `PostgreSQL`'s programs.
//!
//! No name is misinterpreted: options carry their value in the same argument, and a database
//! has a connection string of its own, because libpq takes a name with `=` or `://` for one.

use std::fmt::Write as _;

use crate::config::{Config, Format};

/// Nobody can type a password.
const UNATTENDED: &str = "--no-password";

/// Lists the databases, each with the reason why it cannot be dumped, if any.
const LIST: &str = include_str!("scripts/databases.sql");

/// Arguments for `psql` to list all databases. A NUL byte, which no value contains, ends each value.
pub(crate) fn list_databases() -> Vec<String> {
    let mut arguments = values();
    arguments.push(format!("--command={LIST}"));
    arguments
}

/// Arguments for `psql` to print only values.
fn values() -> Vec<String> {
    let mut arguments = psql();
    let form = [
        "--tuples-only",
        "--no-align",
        "--field-separator-zero",
        "--record-separator-zero",
    ];
    arguments.extend(form.map(str::to_owned));
    arguments
}

/// `psql`'s, to tell whether `PGDATABASE` is set for it (`TRUE` or `FALSE`), the database that it is connected to, and the
/// role that it has there, a line each.
pub(crate) fn connected() -> Vec<String> {
    let mut arguments = psql();
    let commands = [
        "--tuples-only",
        "--no-align",
        // psql before version 14 does not know the variable, and prints FALSE.
        r"--command=\getenv named PGDATABASE",
        r"--command=\echo :{?named}",
        "--command=select pg_catalog.current_database()",
        "--command=select session_user",
    ];
    arguments.extend(commands.map(str::to_owned));
    arguments
}

/// Arguments for `psql` to run a query in this database. A NUL byte, which no value contains, ends each value.
pub(crate) fn query(database: &str, query: &str) -> Vec<String> {
    let mut arguments = values();
    // Names in the query resolve to PostgreSQL's own objects, regardless of the database.
    arguments.push("--command=set search_path = pg_catalog".into());
    arguments.push(format!("--command={query}"));
    arguments.push(connection(database));
    arguments
}

/// `psql`'s, to run the plugin's own script from its standard input in this database, with values for its variables.
pub(crate) fn script(database: &str, variables: &[(String, &str)]) -> Vec<String> {
    let mut arguments = psql();
    arguments.push("--set=ON_ERROR_STOP=1".into());
    let set = |(name, value): &(String, &str)| format!("--set={name}={value}");
    arguments.extend(variables.iter().map(set));
    arguments.extend(SCRIPT.map(str::to_owned));
    arguments.push(connection(database));
    arguments
}

/// The same, with the results of the script. A NUL byte, which no value contains, ends each value.
pub(crate) fn asking_script(database: &str, variables: &[(String, &str)]) -> Vec<String> {
    let mut arguments = values();
    arguments.push("--set=ON_ERROR_STOP=1".into());
    let set = |(name, value): &(String, &str)| format!("--set={name}={value}");
    arguments.extend(variables.iter().map(set));
    arguments.push("--file=-".into());
    arguments.push(connection(database));
    arguments
}

/// Arguments for `pg_dump`, for this database or libpq's default.
pub(crate) fn dump(config: &Config, database: Option<&str>) -> Vec<String> {
    let mut arguments = vec![UNATTENDED.to_owned()];
    match config.format {
        Format::Plain => {
            arguments.push("--format=plain".into());
            // With an archive, pg_restore cleans.
            arguments.extend(cleaning(config));
        }
        Format::Custom => arguments.extend(["--format=custom".into(), "--compress=0".into()]),
        Format::Tar => arguments.push("--format=tar".into()),
    }
    for (option, patterns) in [
        ("--schema", &config.schemas),
        ("--exclude-schema", &config.exclude_schemas),
        ("--table", &config.tables),
        ("--exclude-table", &config.exclude_tables),
        ("--exclude-table-data", &config.exclude_table_data),
    ] {
        arguments.extend(patterns.iter().map(|pattern| format!("{option}={pattern}")));
    }
    arguments.extend(omissions(config));
    arguments.extend(database.map(connection));
    arguments
}

/// Arguments for `pg_dumpall`, for roles and tablespaces.
pub(crate) fn dump_globals() -> Vec<String> {
    [UNATTENDED, "--globals-only"].map(str::to_owned).into()
}

/// Arguments for `psql` to read the SQL of a database from standard input, in a transaction that
/// the input must commit.
///
/// `--single-transaction` would commit at the end of the input, which also comes when the feeding
/// process dies.
pub(crate) fn restore_sql(connection: &Connection, restriction: Option<&str>) -> Vec<String> {
    let mut arguments = psql();
    arguments.extend(restriction.map(restrict));
    arguments.extend(
        [
            "--set=ON_ERROR_STOP=1",
            // As in pg_dumpall: the database may be read-only by default.
            "--command=SET default_transaction_read_only = off",
            NOTICE_END,
            "--command=BEGIN",
        ]
        .map(str::to_owned),
    );
    arguments.extend(SCRIPT.map(str::to_owned));
    arguments.push(connection.argument());
    arguments
}

/// A busy server does not notice the end of its client, unless this setting makes it check (`PostgreSQL` 14 and later,
/// on systems that support it).
const NOTICE_END: &str = "--command=SELECT pg_catalog.set_config(name, '5s', false) FROM pg_catalog.pg_settings \
                          WHERE name = 'client_connection_check_interval' AND pg_catalog.version() ~ 'linux'";

/// Arguments for `psql` to read roles and tablespaces from standard input.
///
/// It continues after errors, because existing roles cause some: every cluster has at least the
/// superuser. A role that is really missing fails the dump that names it.
pub(crate) fn restore_globals(connection: &Connection, restriction: Option<&str>) -> Vec<String> {
    let mut arguments = psql();
    // Each error contains its code, which is the same in every language.
    arguments.push("--set=VERBOSITY=verbose".into());
    arguments.extend(restriction.map(restrict));
    arguments.extend(SCRIPT.map(str::to_owned));
    let connection = Connection {
        // Every PostgreSQL program expects this database to exist. libpq's default may not be
        // restored yet.
        database: "postgres",
        ..*connection
    };
    arguments.push(connection.argument());
    arguments
}

/// Arguments for `pg_restore` to read an archive from standard input, in one transaction.
pub(crate) fn restore_archive(config: &Config, connection: &Connection) -> Vec<String> {
    let mut arguments = [UNATTENDED, "--exit-on-error", "--single-transaction"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(cleaning(config));
    arguments.extend(omissions(config));
    // Without a connection string it would print SQL instead of restoring.
    arguments.push(connection.argument());
    arguments
}

/// Arguments for `psql` to print its version.
pub(crate) fn psql_version() -> Vec<String> {
    vec!["--version".to_owned()]
}

/// Makes `psql` refuse all backslash commands except one that repeats this token.
fn restrict(token: &str) -> String {
    format!("--command=\\restrict {token}")
}

/// Makes `psql` read a script from standard input, and discards the results of its queries, so
/// that they do not fill a pipe.
const SCRIPT: [&str; 2] = ["--output=/dev/null", "--file=-"];

fn psql() -> Vec<String> {
    [UNATTENDED, "--no-psqlrc", "--quiet"]
        .map(str::to_owned)
        .into()
}

fn cleaning(config: &Config) -> impl Iterator<Item = String> {
    let options: &[&str] = if config.clean {
        &["--clean", "--if-exists"]
    } else {
        &[]
    };
    options.iter().map(|option| (*option).to_owned())
}

/// An archive contains the owners anyway, so `pg_restore` needs these options, too.
fn omissions(config: &Config) -> Vec<String> {
    let mut options = Vec::new();
    if config.no_owner {
        options.push("--no-owner".to_owned());
    }
    if config.no_privileges {
        options.push("--no-privileges".to_owned());
    }
    options
}

/// The connection that a restoration uses.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) database: &'a str,
    /// The role that connects. `None` for the role of the program's environment.
    pub(crate) role: Option<&'a str>,
    /// The application name of the connection. Empty for the name of the program.
    pub(crate) session: &'a str,
}

impl Connection<'_> {
    fn argument(&self) -> String {
        let mut connection = connection(self.database);
        let parts = [
            ("application_name", self.session),
            ("user", self.role.unwrap_or_default()),
        ];
        for (key, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(connection, " {key}='{}'", quoted(value));
        }
        connection
    }
}

fn connection(database: &str) -> String {
    format!("--dbname=dbname='{}'", quoted(database))
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    value.replace('\\', r"\\").replace('\'', r"\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        Config::parse(json).expect("it is a config")
    }

    fn to(database: &str) -> Connection<'_> {
        Connection {
            database,
            role: None,
            session: "tthost 1",
        }
    }

    #[test]
    fn nothing_configured_dumps_libpqs_database_as_sql() {
        assert_eq!(
            dump(&Config::default(), None),
            ["--no-password", "--format=plain"]
        );
    }

    #[test]
    fn a_dump_that_replaces_says_so_itself() {
        assert_eq!(
            dump(&config(r#"{"clean": true}"#), None),
            ["--no-password", "--format=plain", "--clean", "--if-exists"]
        );
    }

    #[test]
    fn every_setting_reaches_pg_dump() {
        let config = config(
            r#"{"schemas": ["a", "A"], "exclude-schemas": ["b"], "tables": ["c"],
                "exclude-tables": ["d"], "exclude-table-data": ["e"], "no-owner": true,
                "no-privileges": true}"#,
        );
        assert_eq!(
            dump(&config, Some("shop")),
            [
                "--no-password",
                "--format=plain",
                "--schema=a",
                "--schema=A",
                "--exclude-schema=b",
                "--table=c",
                "--exclude-table=d",
                "--exclude-table-data=e",
                "--no-owner",
                "--no-privileges",
                "--dbname=dbname='shop'"
            ]
        );
    }

    #[test]
    fn an_archive_is_not_compressed_and_is_cleaned_up_for_when_it_is_restored() {
        let config = config(r#"{"format": "custom", "clean": true, "no-owner": true}"#);
        assert_eq!(
            dump(&config, None),
            [
                "--no-password",
                "--format=custom",
                "--compress=0",
                "--no-owner"
            ]
        );
        assert_eq!(
            restore_archive(&config, &to("shop")),
            [
                "--no-password",
                "--exit-on-error",
                "--single-transaction",
                "--clean",
                "--if-exists",
                "--no-owner",
                "--dbname=dbname='shop' application_name='tthost 1'"
            ]
        );
    }

    #[test]
    fn a_tar_is_never_compressed() {
        let config = config(r#"{"format": "tar", "clean": true}"#);
        assert_eq!(
            dump(&config, Some("-x")),
            ["--no-password", "--format=tar", "--dbname=dbname='-x'"]
        );
    }

    #[test]
    fn sql_is_restored_in_a_transaction_that_the_end_of_input_does_not_commit() {
        let arguments = restore_sql(&to("shop"), None);
        let position = |argument| arguments.iter().position(|other| other == argument);
        assert!(position("--single-transaction").is_none());
        assert!(position("--set=ON_ERROR_STOP=1").is_some());
        assert!(
            position("--command=BEGIN").expect("it begins")
                < position("--file=-").expect("it reads")
        );
        assert!(position("--dbname=dbname='shop' application_name='tthost 1'").is_some());
    }

    #[test]
    fn roles_that_exist_do_not_stop_the_others() {
        let arguments = restore_globals(&to("shop"), None);
        assert!(
            !arguments
                .iter()
                .any(|argument| argument.contains("ON_ERROR_STOP"))
        );
        assert!(!arguments.iter().any(|argument| argument.contains("BEGIN")));
    }

    #[test]
    fn psql_is_restricted_before_it_reads_anything() {
        for arguments in [
            restore_sql(&to("shop"), Some("a1")),
            restore_globals(&to("shop"), Some("a1")),
        ] {
            let position = |argument| arguments.iter().position(|other| other == argument);
            let restricted = position(r"--command=\restrict a1").expect("it is restricted");
            assert!(restricted < position("--file=-").expect("it reads"));
            assert!(position("--no-psqlrc") < Some(restricted));
        }
    }

    #[test]
    fn a_name_is_never_taken_for_a_connection_string() {
        assert_eq!(connection("host=evil"), "--dbname=dbname='host=evil'");
        assert_eq!(
            connection("postgresql://evil"),
            "--dbname=dbname='postgresql://evil'"
        );
        let target = Connection {
            database: "shop",
            role: Some("it's me host=evil"),
            session: "s",
        };
        assert_eq!(
            target.argument(),
            r"--dbname=dbname='shop' application_name='s' user='it\'s me host=evil'"
        );
        assert_eq!(connection(r"it's \ odd"), r"--dbname=dbname='it\'s \\ odd'");
    }
}
