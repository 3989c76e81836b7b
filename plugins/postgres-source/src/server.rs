//! The state of the server, as `psql` reports it.

use tthost_plugin::{Error, command};

use crate::arguments;
use crate::capture::values;

/// The databases of a server, and what the role may do there.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The role that the granted `psql` has.
    pub(crate) role: String,
    /// Whether it may create databases.
    pub(crate) may_create: bool,
    databases: Vec<Database>,
}

#[derive(Debug)]
struct Database {
    name: String,
    /// The role may do with it what its owner may.
    is_owned: bool,
}

impl Cluster {
    /// Asks in this database.
    pub(crate) async fn ask(database: &str) -> Result<Self, Error> {
        let values = ask(database, include_str!("scripts/cluster.sql")).await?;
        let mut rows = values.chunks_exact(4).peekable();
        let Some([_, _, role, may_create]) = rows.peek() else {
            return Err(Error::Other("psql lists no databases".into()));
        };
        Ok(Self {
            role: role.clone(),
            may_create: may_create == "t",
            databases: rows
                .map(|row| Database {
                    name: row[0].clone(),
                    is_owned: row[1] == "t",
                })
                .collect(),
        })
    }

    /// Whether there is a database of this name.
    pub(crate) fn has(&self, database: &str) -> bool {
        self.databases.iter().any(|known| known.name == database)
    }

    /// Whether the role may rename this database, as far as that takes to own it.
    pub(crate) fn owns(&self, database: &str) -> bool {
        let mut databases = self.databases.iter();
        databases.any(|known| known.name == database && known.is_owned)
    }
}

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseStats {
    pub(crate) tables: u64,
    /// An estimate.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Of others.
    pub(crate) connections: u64,
    /// There is nothing but what `PostgreSQL` and extensions bring along.
    pub(crate) is_empty: bool,
}

impl DatabaseStats {
    /// Asks in the database.
    pub(crate) async fn of(database: &str) -> Result<Self, Error> {
        let values = ask(database, include_str!("scripts/stats.sql")).await?;
        Self::parse(&values).ok_or_else(|| {
            Error::Other(format!(
                "psql does not tell what is in the database {database}"
            ))
        })
    }

    fn parse(values: &[String]) -> Option<Self> {
        let [tables, rows, bytes, connections, state] = values else {
            return None;
        };
        Some(Self {
            tables: tables.parse().ok()?,
            rows: rows.parse().ok()?,
            bytes: bytes.parse().ok()?,
            connections: connections.parse().ok()?,
            is_empty: state == "empty",
        })
    }
}

/// The values that a query answers, row after row.
async fn ask(database: &str, query: &str) -> Result<Vec<String>, Error> {
    let arguments = arguments::query(database, query);
    let process = command::spawn("psql".into(), arguments, None).await?;
    values(&process).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_figures_and_a_state() {
        let parsed = |values: [&str; 5]| DatabaseStats::parse(&values.map(str::to_owned));
        let stats = parsed(["1", "1000", "7699815", "3", "filled"]);
        let expected = DatabaseStats {
            tables: 1,
            rows: 1000,
            bytes: 7_699_815,
            connections: 3,
            is_empty: false,
        };
        assert_eq!(stats, Some(expected));
        assert_eq!(parsed(["1", "", "1", "1", "empty"]), None);
    }
}
