//! How a dump is restored into its database: directly, or into a new database that then replaces it.

use tthost_plugin::Error;

use crate::config::Config;
use crate::server::{Cluster, DatabaseStats};

/// The largest name in bytes. The server truncates longer ones.
const MAX_NAME_LENGTH: usize = 63;

/// A destination database, and how the dump gets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) database: String,
    /// Its contents. `None` if it does not exist, or without psql.
    pub(crate) stats: Option<DatabaseStats>,
    pub(crate) method: Method,
}

/// How a dump is restored into its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Into the existing database.
    Direct,
    /// Into a new database of this name, which replaces the existing one when everything is restored.
    Exchange {
        new: String,
        /// The name that the existing database then gets. `None` if there is none.
        kept: Option<String>,
    },
    /// Into a new database, which a drill removes at the end.
    Drill {
        new: String,
        /// The database whose settings it gets.
        like_original: bool,
    },
}

impl Placement {
    /// Places a dump into a database, regardless of its contents.
    pub(crate) async fn in_place(database: String) -> Result<Self, Error> {
        let stats = match DatabaseStats::of(&database).await {
            Ok(stats) => Some(stats),
            // pg_restore does not need psql.
            Err(Error::Denied(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            database,
            stats,
            method: Method::Direct,
        })
    }

    /// Places a dump into an empty database, or else beside the database. The label makes the names of this restoration
    /// unique.
    pub(crate) async fn exchange(
        database: String,
        config: &Config,
        label: &str,
    ) -> Result<Self, Error> {
        let cluster = cluster(config, &database).await;
        let cluster = cluster.map_err(|error| match error {
            Error::Denied(text) => Error::Denied(format!("{text}, or restore with --in-place")),
            Error::Config(text) => {
                Error::Config(format!("{text}; a restoration with --in-place needs none"))
            }
            error => error,
        })?;
        let stats = stats(&cluster, &database).await?;
        let method = match &stats {
            Some(stats) if stats.is_empty => Method::Direct,
            stats => {
                if stats.is_some() {
                    check_whole(config, &database)?;
                }
                check_rights(&cluster, &database, stats.is_some())?;
                Method::Exchange {
                    new: unused(&cluster, &database, "restoring", label)?,
                    kept: match stats {
                        Some(_) => Some(unused(&cluster, &database, "before", label)?),
                        None => None,
                    },
                }
            }
        };
        Ok(Self {
            database,
            stats,
            method,
        })
    }

    /// Places a dump into a database for a drill.
    pub(crate) async fn drill(
        database: String,
        config: &Config,
        label: &str,
    ) -> Result<Self, Error> {
        let cluster = cluster(config, &database).await?;
        if !cluster.may_create {
            return Err(Error::Denied(format!(
                "a drill restores into a database of its own, and the role {} may not create one: give it CREATEDB",
                cluster.role
            )));
        }
        Ok(Self {
            stats: stats(&cluster, &database).await?,
            method: Method::Drill {
                new: unused(&cluster, &database, "drill", label)?,
                like_original: cluster.owns(&database),
            },
            database,
        })
    }

    /// The new database of the dump, if any.
    pub(crate) fn new_database(&self) -> Option<&str> {
        match &self.method {
            Method::Direct => None,
            Method::Exchange { new, .. } | Method::Drill { new, .. } => Some(new),
        }
    }

    /// The database that the dump is fed to.
    pub(crate) fn target(&self) -> &str {
        self.new_database().unwrap_or(&self.database)
    }
}

/// Asks the server through a database that is neither dropped nor renamed.
async fn cluster(config: &Config, database: &str) -> Result<Cluster, Error> {
    let maintenance = config.maintenance_database.of(&[database]);
    let asked = Cluster::ask(maintenance).await;
    asked.map_err(|error| match error {
        Error::Other(text) if text.contains(&format!("\"{maintenance}\"")) => Error::Config(
            format!("{text} (the setting maintenance-database names another one)"),
        ),
        error => error,
    })
}

/// The contents of a database. `None` if it does not exist.
async fn stats(cluster: &Cluster, database: &str) -> Result<Option<DatabaseStats>, Error> {
    if cluster.has(database) {
        DatabaseStats::of(database).await.map(Some)
    } else {
        Ok(None)
    }
}

/// A partial dump must not replace a database.
fn check_whole(config: &Config, database: &str) -> Result<(), Error> {
    match config.selects() {
        None => Ok(()),
        Some(key) => Err(Error::Config(format!(
            "the source has {key}, so its dump may be a part of the database {database} and cannot take its place: restore \
             into an empty database with --target, or into this one as it is with --in-place"
        ))),
    }
}

/// Replacing a database takes the rights to create and rename one.
fn check_rights(cluster: &Cluster, database: &str, exists: bool) -> Result<(), Error> {
    let role = &cluster.role;
    if !cluster.may_create && !exists {
        return Err(Error::Denied(format!(
            "there is no database {database}, and the role {role} may not create it: create it yourself, or give the role \
             CREATEDB"
        )));
    }
    if !cluster.may_create || !cluster.owns(database) && exists {
        let lacks = if cluster.may_create {
            "does not own it"
        } else {
            "may not create databases"
        };
        return Err(Error::Denied(format!(
            "the database {database} is not empty, and cannot be exchanged for a new one because the role {role} {lacks}: \
             restore into an empty database with --target, into this one as it is with --in-place, or with a role that owns \
             it and has CREATEDB"
        )));
    }
    Ok(())
}

/// A unique name for this restoration.
fn unused(cluster: &Cluster, database: &str, what: &str, label: &str) -> Result<String, Error> {
    // Several restorations can start in one second.
    let labels = (2..10).map(|number| format!("{label}_{number}"));
    let mut names = [label.to_owned()]
        .into_iter()
        .chain(labels)
        .map(|label| derived(database, what, &label));
    names.find(|name| !cluster.has(name)).ok_or_else(|| {
        let name = derived(database, what, label);
        Error::Exists(format!(
            "there are databases {name} and others after it already, whose names are needed for this restoration: try again"
        ))
    })
}

fn derived(database: &str, what: &str, label: &str) -> String {
    let suffix = format!("_{what}_{label}");
    let mut end = database
        .len()
        .min(MAX_NAME_LENGTH.saturating_sub(suffix.len()));
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &database[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_database_does_not_take_its_place() {
        let check = |json| check_whole(&Config::parse(json).expect("it is a config"), "shop");
        assert!(check(r#"{"exclude-table-data": ["cache"]}"#).is_ok());
        let Err(Error::Config(text)) = check(r#"{"exclude-tables": ["cache"]}"#) else {
            panic!("it would lose a table");
        };
        assert!(
            text.contains("exclude-tables") && text.contains("--in-place"),
            "{text}"
        );
    }

    #[test]
    fn a_derived_name_is_never_cut_off_by_the_server() {
        let label = "20260131_020000";
        assert_eq!(
            derived("shop", "before", label),
            "shop_before_20260131_020000"
        );
        let long = derived(&"ü".repeat(31), "restoring", label);
        assert!(
            long.len() <= MAX_NAME_LENGTH && long.ends_with("ü_restoring_20260131_020000"),
            "{long}"
        );
    }
}
