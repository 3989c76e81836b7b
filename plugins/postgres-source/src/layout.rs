//! What the files of a capture are called.

use crate::config::{Config, Databases, Format, check_database};

/// The name of the file with roles and tablespaces.
pub(crate) const GLOBALS: &str = "globals.sql";

/// The name of the dump of the database that nobody named, without its ending.
const UNNAMED: &str = "database";

/// What a file of a capture holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// Roles and tablespaces.
    Globals,
    /// A database.
    Database(Database, Format),
}

/// The database that a dump is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its name; none for the one that libpq takes by itself.
    pub(crate) name: Option<String>,
    /// What the configuration calls the file, where it does.
    file: Option<String>,
}

impl Dump {
    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Globals => GLOBALS.into(),
            Self::Database(Database { name, file }, format) => file.clone().unwrap_or_else(|| {
                format!("{}.{}", name.as_deref().unwrap_or(UNNAMED), format.ending())
            }),
        }
    }

    /// What a file of this name holds; none when it is no dump.
    ///
    /// A database may be called like one of our own files. The configuration tells which it
    /// is, as it did when the file was made.
    pub(crate) fn from_file_name(name: &[u8], config: &Config) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        if config.file.as_deref() == Some(name) {
            let database = match &config.databases {
                Databases::Named(names) => names.first().cloned(),
                Databases::Default | Databases::All => None,
            };
            return Some(Self::database(database, config));
        }
        let (stem, _) = name.rsplit_once('.')?;
        let format = [Format::Plain, Format::Custom]
            .into_iter()
            .find(|format| name == format!("{stem}.{}", format.ending()))?;
        check_database(stem).ok()?;
        let a_database = match &config.databases {
            Databases::Default => false,
            Databases::All => true,
            Databases::Named(names) => names.iter().any(|name| name == stem),
        };
        let of = |name: Option<String>| Self::Database(Database { name, file: None }, format);
        Some(if name == GLOBALS && (config.globals || !a_database) {
            Self::Globals
        } else if stem == UNNAMED && !a_database {
            of(None)
        } else {
            of(Some(stem.into()))
        })
    }

    /// The dump that the configuration makes of a database.
    fn database(name: Option<String>, config: &Config) -> Self {
        let file = config.file.clone();
        Self::Database(Database { name, file }, config.format)
    }
}

/// The dumps of a capture, in the byte order of their files' names. The error is a sentence
/// for the operator.
pub(crate) fn dumps(config: &Config, databases: Vec<Option<String>>) -> Result<Vec<Dump>, String> {
    let mut dumps: Vec<_> = databases
        .into_iter()
        .map(|database| Dump::database(database, config))
        .collect();
    if config.globals {
        dumps.push(Dump::Globals);
    }
    dumps.sort_by_key(Dump::file_name);
    let twice = dumps
        .windows(2)
        .find(|pair| pair[0].file_name() == pair[1].file_name());
    match twice {
        None => Ok(dumps),
        Some(pair) => Err(format!(
            "two dumps would be called {}: set globals to false, or format to \"custom\"",
            pair[0].file_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        Config::parse(json).expect("it is a config")
    }

    #[test]
    fn files_stand_in_byte_order_and_say_what_they_hold() {
        let config = config(r#"{"databases": ["shop", "Blog"], "globals": true}"#);
        let databases = ["shop", "Blog"].map(|name| Some(name.to_owned()));
        let dumps = dumps(&config, databases.into()).expect("the names differ");
        let names: Vec<_> = dumps.iter().map(Dump::file_name).collect();
        assert_eq!(names, ["Blog.sql", "globals.sql", "shop.sql"]);
        for (name, dump) in names.iter().zip(&dumps) {
            assert_eq!(
                Dump::from_file_name(name.as_bytes(), &config).as_ref(),
                Some(dump)
            );
        }
    }

    #[test]
    fn a_database_does_not_take_the_place_of_the_globals() {
        let databases = || vec![Some("globals".to_owned())];
        let plain = config(r#"{"databases": ["globals"], "globals": true}"#);
        let error = dumps(&plain, databases()).expect_err("one file cannot be both");
        assert!(error.contains("globals.sql"), "{error}");
        let custom = config(r#"{"databases": ["globals"], "globals": true, "format": "custom"}"#);
        assert_eq!(dumps(&custom, databases()).map(|dumps| dumps.len()), Ok(2));
    }

    #[test]
    fn a_database_that_is_called_like_our_own_files_is_told_from_them() {
        let of =
            |name: Option<String>| Dump::Database(Database { name, file: None }, Format::Plain);
        let named = |name: &str| of(Some(name.into()));
        let unnamed = of(None);
        for (file, json, holds) in [
            ("database.sql", "{}", unnamed),
            ("database.sql", r#"{"databases": "all"}"#, named("database")),
            (
                "database.sql",
                r#"{"databases": ["database"]}"#,
                named("database"),
            ),
            ("globals.sql", "{}", Dump::Globals),
            ("globals.sql", r#"{"databases": "all"}"#, named("globals")),
            (
                "globals.sql",
                r#"{"databases": "all", "globals": true}"#,
                Dump::Globals,
            ),
        ] {
            let found = Dump::from_file_name(file.as_bytes(), &config(json));
            assert_eq!(found, Some(holds), "{file} with {json}");
        }
    }

    #[test]
    fn the_configuration_can_name_the_file_and_others_are_known_all_the_same() {
        let config = config(r#"{"databases": ["timetiles"], "file": "database.sql"}"#);
        let dumps = dumps(&config, vec![Some("timetiles".into())]).expect("it is one");
        assert_eq!(dumps[0].file_name(), "database.sql");
        let found = Dump::from_file_name(b"database.sql", &config);
        assert_eq!(found.as_ref(), dumps.first());
        for earlier in ["timetiles.sql", "timetiles.dump", "database.dump"] {
            let found = Dump::from_file_name(earlier.as_bytes(), &config).expect("it is a dump");
            assert_eq!(found.file_name(), earlier);
        }
    }

    #[test]
    fn other_files_are_no_dumps() {
        for name in [
            &b"notes.txt"[..],
            b"sql",
            b".sql",
            b"-x.sql",
            b"caf\xe9.sql",
        ] {
            assert_eq!(Dump::from_file_name(name, &config("{}")), None);
        }
    }
}
