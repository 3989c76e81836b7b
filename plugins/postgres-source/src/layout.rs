//! What the files of a capture are called.

use crate::config::{Config, Databases, Format, check_database};

/// The name of the file with roles and tablespaces.
const GLOBALS: &str = "globals.sql";

/// The name of the dump of the database that nobody named.
const UNNAMED: &str = "database";

/// What a file of a capture holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// Roles and tablespaces.
    Globals,
    /// A database, the one that libpq takes by itself when it has no name.
    Database(Option<String>, Format),
}

impl Dump {
    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Globals => GLOBALS.into(),
            Self::Database(name, format) => {
                format!("{}.{}", name.as_deref().unwrap_or(UNNAMED), format.ending())
            }
        }
    }

    /// What a file of this name holds; none when it is no dump.
    pub(crate) fn from_file_name(name: &[u8], config: &Config) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let (stem, ending) = name.rsplit_once('.')?;
        let format = [Format::Plain, Format::Custom]
            .into_iter()
            .find(|format| format.ending() == ending)?;
        check_database(stem).ok()?;
        let named = matches!(&config.databases, Databases::Named(names) if names.iter().any(|known| known == stem));
        Some(match name {
            // A database that is really called so has to be named in the configuration.
            GLOBALS if !named => Self::Globals,
            _ if stem == UNNAMED && !named => Self::Database(None, format),
            _ => Self::Database(Some(stem.into()), format),
        })
    }
}

/// The dumps of a capture, in the byte order of their files' names.
pub(crate) fn dumps(config: &Config, databases: &[Option<String>]) -> Vec<Dump> {
    let mut dumps: Vec<_> = databases
        .iter()
        .map(|database| Dump::Database(database.clone(), config.format))
        .collect();
    if config.globals {
        dumps.push(Dump::Globals);
    }
    dumps.sort_by_key(Dump::file_name);
    dumps.dedup_by_key(|dump| dump.file_name());
    dumps
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
        let dumps = dumps(&config, &databases);
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
    fn the_unnamed_database_is_told_from_one_of_that_name() {
        let unnamed = Dump::from_file_name(b"database.dump", &config("{}"));
        assert_eq!(unnamed, Some(Dump::Database(None, Format::Custom)));
        let named =
            Dump::from_file_name(b"database.sql", &config(r#"{"databases": ["database"]}"#));
        assert_eq!(
            named,
            Some(Dump::Database(Some("database".into()), Format::Plain))
        );
    }

    #[test]
    fn other_files_are_no_dumps() {
        for name in [&b"notes.txt"[..], b"sql", b".sql", b"caf\xe9.sql"] {
            assert_eq!(Dump::from_file_name(name, &config("{}")), None);
        }
    }
}
