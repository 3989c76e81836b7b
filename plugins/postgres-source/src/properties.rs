//! What makes a database besides its contents: encoding, owner, rights, settings and comment. No dump of it holds them.
//!
//! The scripts that make a new database like an old one write the statements. Here they are not carried out but stored, behind
//! roles and tablespaces.

use std::fmt::Write as _;

use crate::arguments;
use crate::bindings::tthost::backup::commands;
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::types::Error;
use crate::bindings::wit_stream;
use crate::capture::{psql_lines, values};
use crate::config::Config;
use crate::exchange::{CREATE_ALIKE, SETTINGS};

/// What `psql` carries statements out with.
const CARRY_OUT: &str = "\\gexec";

/// What our part of the file ends with, as the part before does.
const COMPLETE: &str = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";

/// The statements that make these databases, as SQL; none stands for the one that libpq takes by itself.
pub(crate) async fn of(config: &Config, databases: &[Option<String>]) -> Result<Vec<u8>, Error> {
    match statements(config, databases).await {
        Ok(statements) => Ok(sql(&statements).into_bytes()),
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

async fn statements(config: &Config, databases: &[Option<String>]) -> Result<Vec<String>, Error> {
    let mut names = Vec::with_capacity(databases.len());
    for database in databases {
        names.push(match database {
            Some(name) => name.clone(),
            None => connected().await?,
        });
    }
    let mut script = "SET search_path = pg_catalog;\n".to_owned();
    let mut variables = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        let _ = write!(
            script,
            "\\set place :place{number}\n\\set beside :place{number}\n{CREATE_ALIKE}{SETTINGS}"
        );
        variables.push((format!("place{number}"), name.as_str()));
    }
    let (mut input, stream) = wit_stream::new();
    let arguments = arguments::asking_script(config.maintenance_database.of(&[]), &variables);
    let process = commands::spawn("psql".into(), arguments, Some(stream)).await?;
    // What it does not read, its exit code tells of.
    input
        .write_all(script.replace(CARRY_OUT, ";").into_bytes())
        .await;
    drop(input);
    values(&process).await
}

/// The database that libpq takes by itself.
async fn connected() -> Result<String, Error> {
    let answer = psql_lines(arguments::connected()).await?;
    answer
        .into_iter()
        .nth(1)
        .ok_or_else(|| Error::Other("psql does not tell which database it is connected to".into()))
}

fn sql(statements: &[String]) -> String {
    let mut sql = "--\n-- Databases\n--\n\n".to_owned();
    for statement in statements {
        let _ = writeln!(sql, "{statement};");
    }
    sql + "\n" + COMPLETE
}

#[cfg(test)]
mod tests {
    use dump_check::{Check as _, Script};

    use super::*;

    #[test]
    fn what_comes_behind_roles_ends_as_they_do() {
        let mut check = Script::of_cluster();
        check.follow(b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE a;\n");
        check.follow(sql(&["CREATE DATABASE a OWNER a".into()]).as_bytes());
        assert_eq!(check.finish(), Ok(()));
    }

    #[test]
    fn the_scripts_select_what_they_carry_out_elsewhere() {
        for script in [CREATE_ALIKE, SETTINGS] {
            assert!(script.contains(CARRY_OUT));
            assert!(script.trim_end().ends_with(CARRY_OUT));
        }
    }
}
