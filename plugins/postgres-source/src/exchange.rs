//! New databases that replace old ones.
//!
//! A dump is restored into a new database, so that a failure does not affect the existing one. At the end, one
//! transaction renames both, for all databases of the restoration together.

use std::fmt::Write as _;

use tthost_plugin::{Error, Level, command, log};

use crate::arguments;
use crate::config::Config;
use crate::placement::{Method, Placement};
use crate::program::succeed;
use crate::unfinished;

const CLAIM: &str = include_str!("scripts/claim.sql");

/// Ends everything that prevents the removal of a database.
const DETACH: &str = include_str!("scripts/detach.sql");

/// Makes `:new` like `:original`.
pub(crate) const CREATE_LIKE: &str = include_str!("scripts/create_like.sql");

/// Gives `:new` the settings of `:original`.
pub(crate) const SETTINGS: &str = include_str!("scripts/settings.sql");

/// A name that a script refers to by a variable.
type Variable<'a> = (String, &'a str);

/// Creates the new, empty database with the settings of the old one, if there is one. This owner, if any, owns it until it
/// replaces the old one.
pub(crate) async fn create(
    config: &Config,
    placement: &Placement,
    owner: Option<&str>,
) -> Result<(), Error> {
    let (new, like_original) = match &placement.method {
        Method::Direct => return Ok(()),
        Method::Exchange { new, kept } => (new, kept.is_some()),
        Method::Drill { new, like_original } => (new, *like_original),
    };
    let script = match (like_original, owner) {
        (true, _) => CREATE_LIKE,
        (false, Some(_)) => "CREATE DATABASE :\"new\" TEMPLATE template0 OWNER :\"owner\";\n",
        (false, None) => "CREATE DATABASE :\"new\" TEMPLATE template0;\n",
    };
    let variables = [
        ("original".to_owned(), placement.database.as_str()),
        ("new".to_owned(), new.as_str()),
        ("owner".to_owned(), owner.unwrap_or_default()),
    ];
    let script = format!("{CLAIM}{script}");
    unfinished::note(new).await;
    run(maintenance(config, &[placement]), &variables, &script).await
}

/// Replaces the old databases with the new ones, all or none.
pub(crate) async fn exchange(config: &Config, placements: &[Placement]) -> Result<(), Error> {
    let placements: Vec<_> = placements.iter().collect();
    let mut variables: Vec<Variable<'_>> = Vec::new();
    let mut script = "SET lock_timeout = '30s';\nBEGIN;\n".to_owned();
    for (number, placement) in placements.iter().enumerate() {
        let Method::Exchange { new, kept } = &placement.method else {
            continue;
        };
        let mut set = |name: &str, value| {
            let _ = writeln!(script, "\\set {name} :{name}{number}");
            variables.push((format!("{name}{number}"), value));
        };
        set("original", placement.database.as_str());
        set("new", new.as_str());
        if let Some(kept) = kept {
            set("kept", kept.as_str());
            script += SETTINGS;
            script += include_str!("scripts/rename_original.sql");
        }
        script += "ALTER DATABASE :\"new\" RENAME TO :\"original\";\n";
    }
    script += "COMMIT;\n";
    run(maintenance(config, &placements), &variables, &script).await?;
    for new in placements
        .iter()
        .filter_map(|placement| placement.new_database())
    {
        unfinished::clear(new).await;
    }
    Ok(())
}

/// Removes new databases that will not replace old ones. Returns the last error.
pub(crate) async fn remove(config: &Config, placements: &[Placement]) -> Result<(), Error> {
    let mut removed = Ok(());
    for placement in placements {
        let Some(new) = placement.new_database() else {
            continue;
        };
        let result = remove_new(config, new, Some(&placement.database)).await;
        if result.is_err() {
            removed = result;
        }
    }
    removed
}

/// Removes one new database of this original, if known. Warns if it stays.
pub(crate) async fn remove_new(
    config: &Config,
    new: &str,
    original: Option<&str>,
) -> Result<(), Error> {
    let maintenance = config
        .maintenance_database
        .of(&[new, original.unwrap_or(new)]);
    let variables = [("new".to_owned(), new)];
    let script = format!(
        "SET lock_timeout = '5s';\n{CLAIM}{}",
        include_str!("scripts/remove.sql")
    );
    let drop = async || run(maintenance, &variables, &script).await;
    let mut result = drop().await;
    if result.is_err() && run(new, &[], DETACH).await.is_ok() {
        result = drop().await;
    }
    match &result {
        Ok(()) => unfinished::clear(new).await,
        Err(_) => report_leftover(new),
    }
    result
}

/// Ends the server's work for an abandoned restoration.
pub(crate) async fn end_session(config: &Config, session: &str) {
    let variables = [("session".to_owned(), session)];
    let script = include_str!("scripts/end_session.sql");
    let ended = run(config.maintenance_database.of(&[]), &variables, script).await;
    // Without psql or the rights, the operator must do it.
    if let Err(Error::Other(cause)) = ended {
        log(
            Level::Warn,
            &format!(
                "the server may still be at work for the restoration that was given up ({cause}); end that with \
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{session}'"
            ),
        );
    }
}

/// Warns that a database of a failed restoration remains.
pub(crate) fn report_leftover(new: &str) {
    let removal = removal(new);
    log(
        Level::Warn,
        &format!(
            "the database {new} is left over from a restoration that did not end: remove it with {removal}"
        ),
    );
}

/// The statement that removes a database.
pub(crate) fn removal(database: &str) -> String {
    format!("DROP DATABASE \"{}\"", database.replace('"', "\"\""))
}

/// A database that these operations do not affect.
fn maintenance<'a>(config: &'a Config, placements: &[&Placement]) -> &'a str {
    let databases: Vec<_> = placements
        .iter()
        .map(|placement| placement.database.as_str())
        .collect();
    config.maintenance_database.of(&databases)
}

/// Runs a script of the plugin. It goes through standard input, because it may contain settings that nobody may see.
async fn run(database: &str, variables: &[Variable<'_>], script: &str) -> Result<(), Error> {
    let (mut input, stream) = command::input();
    let arguments = arguments::script(database, variables);
    let process = command::spawn("psql".into(), arguments, Some(stream)).await?;
    let script = format!("SET search_path = pg_catalog;\n{script}");
    // The exit code reports input that was not read.
    input.write_all(script.into_bytes()).await;
    drop(input);
    succeed("psql", &process).await
}
