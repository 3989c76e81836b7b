//! The properties of a database besides its contents: encoding, owner, privileges, settings and comment. No dump of
//! it contains them.
//!
//! The scripts that create a new database like an old one generate the statements. Here the statements are not
//! executed but stored after roles and tablespaces, in a section for each database. `psql` executes all of them if it
//! reads the file. A restoration executes the sections of missing databases. It applies their settings after their
//! contents, because a setting like `default_transaction_read_only` would prevent writing the contents.

use std::fmt::Write as _;

use psql_script::Script;
use tthost_plugin::{Error, Level, command, log};

use crate::arguments;
use crate::capture::{psql_lines, values};
use crate::config::Config;
use crate::exchange::{CREATE_LIKE, SETTINGS};

/// What `psql` carries statements out with.
const CARRY_OUT: &str = "\\gexec";

/// What lines begin with that divide our part of the file. No statement has such a line.
const DIVIDER: &str = "--tthost ";

/// What our part of the file ends with, as the part before does.
const COMPLETE: &str = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";

/// The statements that make a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) database: String,
    /// Makes it, with its rights.
    pub(crate) creation: String,
    /// What it is given when its contents are there.
    pub(crate) settings: String,
}

/// The statements that make these databases, as SQL; none stands for the one that libpq takes by itself.
pub(crate) async fn of(config: &Config, databases: &[Option<String>]) -> Result<Vec<u8>, Error> {
    match ask(config, databases).await {
        Ok(all) => Ok(write(&all).into_bytes()),
        Err(Error::Denied(_)) => {
            log(
                Level::Warn,
                "settings, owners and rights of databases are not stored, because the command psql is not granted",
            );
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

async fn ask(config: &Config, databases: &[Option<String>]) -> Result<Vec<Properties>, Error> {
    let mut names = Vec::with_capacity(databases.len());
    for database in databases {
        names.push(match database {
            Some(name) => name.clone(),
            None => connected().await?,
        });
    }
    // An empty value stands in front of each part.
    let mut script =
        "SET search_path = pg_catalog;\nSET client_encoding = 'UTF8';\n\\set owner ''\n".to_owned();
    let mut variables = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        let _ = write!(
            script,
            "\\set original :original{number}\n\\set new :original{number}\n\
             SELECT '';\n{CREATE_LIKE}SELECT '';\n{SETTINGS}"
        );
        variables.push((format!("original{number}"), name.as_str()));
    }
    let (mut input, stream) = command::input();
    let arguments = arguments::asking_script(config.maintenance_database.of(&[]), &variables);
    let process = command::spawn("psql".into(), arguments, Some(stream)).await?;
    // What it does not read, its exit code tells of.
    input
        .write_all(script.replace(CARRY_OUT, ";").into_bytes())
        .await;
    drop(input);
    let values = values(&process).await?;
    let mut parts = values.split(String::is_empty).skip(1);
    let mut all = Vec::with_capacity(names.len());
    for database in names {
        let mut part = || statements(&database, parts.next().unwrap_or_default());
        let (creation, settings) = (part(), part());
        all.push(Properties {
            database,
            creation,
            settings,
        });
    }
    Ok(all)
}

/// The statements that a restoration takes, as SQL.
fn statements(database: &str, statements: &[String]) -> String {
    let mut sql = String::new();
    for statement in statements {
        let line = format!("{statement};\n");
        match refusal(&line) {
            None => sql += &line,
            Some(why) => log(
                Level::Warn,
                &format!(
                    "of the database {database:?}, this is not stored, because {why}: {statement}"
                ),
            ),
        }
    }
    sql
}

/// Why a restoration would not take this.
fn refusal(statement: &str) -> Option<String> {
    if statement.contains(&format!("\n{DIVIDER}")) {
        return Some("it has a line of tthost's own".into());
    }
    let mut script = Script::by_statements();
    let mut bytes = statement.as_bytes().to_vec();
    script
        .follow(&mut bytes)
        .and_then(|()| script.finish())
        .err()
}

/// The database that libpq takes by itself.
async fn connected() -> Result<String, Error> {
    let answer = psql_lines(arguments::connected()).await?;
    answer
        .into_iter()
        .nth(1)
        .ok_or_else(|| Error::Other("psql does not tell which database it is connected to".into()))
}

fn write(all: &[Properties]) -> String {
    let mut sql = "--\n-- Databases\n--\n\n".to_owned();
    for Properties {
        database,
        creation,
        settings,
    } in all
    {
        let name = serde_json::Value::from(database.as_str());
        let _ = write!(
            sql,
            "{DIVIDER}database {name}\n{creation}{DIVIDER}settings\n{settings}"
        );
    }
    let _ = write!(sql, "{DIVIDER}end\n\n{COMPLETE}");
    sql
}

/// Takes the sections of databases out of a file, and leaves the rest.
pub(crate) fn split(file: &str) -> (String, Vec<Properties>) {
    let mut rest = String::new();
    let mut all: Vec<Properties> = Vec::new();
    let mut is_ours = false;
    let mut is_setting = false;
    for line in file.split_inclusive('\n') {
        if let Some(words) = line.strip_prefix(DIVIDER) {
            let words = words.trim_end();
            is_setting = words == "settings";
            if let Some(name) = words.strip_prefix("database ") {
                is_ours = true;
                all.push(Properties {
                    database: serde_json::from_str(name).unwrap_or_default(),
                    ..Properties::default()
                });
            } else if words == "end" {
                is_ours = false;
            }
            continue;
        }
        match all.last_mut().filter(|_| is_ours) {
            Some(last) if is_setting => last.settings += line,
            Some(last) => last.creation += line,
            None => rest += line,
        }
    }
    (rest, all)
}

#[cfg(test)]
mod tests {
    use dump_check::Check as _;

    use super::*;

    fn properties(database: &str) -> Properties {
        Properties {
            database: database.into(),
            creation: "CREATE DATABASE a;\nGRANT CONNECT ON DATABASE a TO b;\n".into(),
            settings: "COMMENT ON DATABASE a IS 'two\nlines';\n".into(),
        }
    }

    #[test]
    fn what_comes_behind_roles_ends_as_they_do_and_is_found_again() {
        let all = [properties("a"), properties("it's \"odd\"\n\u{e9}")];
        let roles = "--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE a;\n";
        let file = format!("{roles}{}", write(&all));
        let mut check = dump_check::Script::of_cluster();
        check.follow(file.as_bytes());
        assert_eq!(check.finish(), Ok(()));
        let (rest, found) = split(&file);
        assert_eq!(found, all);
        assert!(
            rest.starts_with(roles) && rest.ends_with(COMPLETE),
            "{rest}"
        );
        assert_eq!(split(roles), (roles.to_owned(), Vec::new()));
    }

    #[test]
    fn what_a_restoration_refuses_is_not_stored() {
        assert_eq!(refusal("ALTER DATABASE a SET work_mem TO '4MB';\n"), None);
        for statement in [
            "ALTER DATABASE a SET standard_conforming_strings TO 'off';\n",
            "COMMENT ON DATABASE a IS '\n--tthost end';\n",
        ] {
            assert!(refusal(statement).is_some(), "{statement}");
        }
    }

    #[test]
    fn the_scripts_select_what_they_carry_out_elsewhere() {
        for script in [CREATE_LIKE, SETTINGS] {
            assert!(script.trim_end().ends_with(CARRY_OUT));
        }
    }
}
