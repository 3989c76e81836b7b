//! Cleans up the databases and the running statements of interrupted restorations and drills. The host remembers
//! them. The next operation of this source removes them.

use tthost_plugin::{Level, leftovers, log};

use crate::config::Config;
use crate::exchange;

/// How the names of leftovers begin that are databases. Their own names follow in hexadecimal, because a leftover's name is
/// printable.
const DATABASE: &str = "database ";

/// How the names of leftovers begin that are connections.
const SESSION: &str = "session ";

/// Writes down that the server is about to work for a restoration, which this names.
pub(crate) async fn note_session(session: &str) {
    if let Err(cause) = leftovers::note(format!("{SESSION}{session}")).await {
        let text =
            format!("should this run be cut off, the server may go on with its work: {cause}");
        log(Level::Warn, &text);
    }
}

/// The server is not at work for it any more.
pub(crate) async fn clear_session(session: &str) {
    if let Err(cause) = leftovers::clear(format!("{SESSION}{session}")).await {
        log(Level::Debug, &format!("{session} is ended twice: {cause}"));
    }
}

/// Writes down that a database is about to be made which is not going to stay.
pub(crate) async fn note(database: &str) {
    if let Err(cause) = leftovers::note(name(database)).await {
        let text = format!("should this run be cut off, the database {database} stays: {cause}");
        log(Level::Warn, &text);
    }
}

/// The database is gone, or is meant to stay by now.
pub(crate) async fn clear(database: &str) {
    if let Err(cause) = leftovers::clear(name(database)).await {
        log(
            Level::Debug,
            &format!("{database} is removed twice: {cause}"),
        );
    }
}

/// Removes the databases of processes that are gone. One that cannot be removed is told, and is tried the next time.
pub(crate) async fn remove_leftovers(config: &Config) {
    let left = leftovers::left().await;
    for session in left.iter().filter_map(|name| name.strip_prefix(SESSION)) {
        exchange::end_session(config, session).await;
        clear_session(session).await;
    }
    for name in left {
        let Some(database) = database(&name) else {
            continue;
        };
        if exchange::remove_new(config, &database, None).await.is_ok() {
            let text = format!("the database {database} of a run that was cut off is removed");
            log(Level::Warn, &text);
        }
    }
}

fn name(database: &str) -> String {
    format!("{DATABASE}{}", hex::encode(database))
}

fn database(name: &str) -> Option<String> {
    let bytes = hex::decode(name.strip_prefix(DATABASE)?).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_database_is_remembered_in_printable_characters() {
        for odd in ["shop_drill_20260131_020000", "a\"/b \u{fc}\n", ""] {
            let noted = name(odd);
            assert!(noted.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            assert_eq!(database(&noted).as_deref(), Some(odd));
        }
        assert_eq!(database("locks/00"), None);
        assert_eq!(database("database 0g"), None);
    }
}
