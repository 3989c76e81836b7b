//! The file names of a capture.

use crate::config::{Config, Databases, Format, check_database};

/// The name of the file with roles and tablespaces.
pub(crate) const GLOBALS: &str = "globals.sql";

/// The name for the dump of a database with that name.
const GLOBALS_DATABASE: &str = "%67lobals.sql";

/// The name of the dump of the default database, without its extension.
const UNNAMED: &str = "database";

/// The contents of a file of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// Roles and tablespaces.
    Globals,
    /// A database.
    Database(Database, Format),
}

/// The database of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its name. `None` for libpq's default.
    pub(crate) name: Option<String>,
    /// The configured name of the file, if any.
    file: Option<String>,
}

impl Dump {
    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Globals => GLOBALS.into(),
            Self::Database(Database { name, file }, format) => file.clone().unwrap_or_else(|| {
                let stem = name.as_deref().map_or(UNNAMED.into(), encoded);
                format!("{stem}.{}", format.ending())
            }),
        }
    }

    /// The contents of a file with this name. `None` if it is not a dump.
    ///
    /// A database may have the name of a file of the plugin. The configuration decides which one it
    /// is, as it did when the file was written.
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
        let format = Format::ALL
            .into_iter()
            .find(|format| name == format!("{stem}.{}", format.ending()))?;
        let database = decoded(stem)?;
        check_database(&database).ok()?;
        let a_database = match &config.databases {
            Databases::Default => false,
            Databases::All => true,
            Databases::Named(names) => names.contains(&database),
        };
        // Encoded names are unique, but the file may have another encoding.
        let spelt = stem == encoded(&database);
        let file = (!spelt).then(|| name.to_owned());
        let of = |name: Option<String>| Self::Database(Database { name, file }, format);
        Some(if name == GLOBALS && (config.globals || !a_database) {
            Self::Globals
        } else if stem == UNNAMED && !a_database {
            of(None)
        } else {
            of(Some(database))
        })
    }

    /// The dump of a database with this configuration.
    fn database(name: Option<String>, config: &Config) -> Self {
        let taken = config.globals && config.format == Format::Plain;
        let file = match &name {
            Some(name) if taken && format!("{name}.sql") == GLOBALS => {
                Some(GLOBALS_DATABASE.into())
            }
            _ => config.file.clone(),
        };
        Self::Database(Database { name, file }, config.format)
    }
}

/// The name of a database as a part of a file name, percent-encoded where necessary.
fn encoded(name: &str) -> String {
    let name = name.replace('%', "%25").replace('/', "%2F");
    if name.bytes().all(|byte| byte == b'.') {
        return name.replace('.', "%2E");
    }
    name
}

/// Decodes such a name. `None` if it is invalid. A `%` without two digits is itself.
fn decoded(stem: &str) -> Option<String> {
    let mut name = Vec::with_capacity(stem.len());
    let mut rest = stem.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| {
                *first == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        name.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(name).ok()
}

/// The dumps of a capture, by the byte order of their file names. The error is a sentence
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
        for json in [
            r#"{"databases": ["globals"], "globals": true}"#,
            r#"{"databases": ["globals"], "globals": true, "format": "custom"}"#,
        ] {
            let config = config(json);
            let dumps = dumps(&config, vec![Some("globals".into())]).expect("the names differ");
            for dump in &dumps {
                let found = Dump::from_file_name(dump.file_name().as_bytes(), &config);
                assert_eq!(found.as_ref(), Some(dump), "{json}");
            }
        }
    }

    #[test]
    fn a_database_may_be_called_what_no_file_can_be() {
        let config = config(r#"{"databases": "all"}"#);
        for (name, file) in [
            ("a/b", "a%2Fb.sql"),
            ("..", "%2E%2E.sql"),
            ("50%", "50%25.sql"),
            ("-x", "-x.sql"),
            ("a%2Fb", "a%252Fb.sql"),
            ("it's \"odd\" é.sql", "it's \"odd\" é.sql.sql"),
        ] {
            let dumps = dumps(&config, vec![Some(name.into())]).expect("it is one");
            assert_eq!(dumps[0].file_name(), file);
            let found = Dump::from_file_name(file.as_bytes(), &config);
            assert_eq!(found.as_ref(), dumps.first());
        }
        // Its former name.
        let earlier = Dump::from_file_name(b"50%.sql", &config).expect("it is a dump");
        assert_eq!(earlier.file_name(), "50%.sql");
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
        for earlier in [
            "timetiles.sql",
            "timetiles.dump",
            "timetiles.tar",
            "database.dump",
        ] {
            let found = Dump::from_file_name(earlier.as_bytes(), &config).expect("it is a dump");
            assert_eq!(found.file_name(), earlier);
        }
    }

    #[test]
    fn other_files_are_no_dumps() {
        for name in [&b"notes.txt"[..], b"sql", b".sql", b"caf\xe9.sql"] {
            assert_eq!(Dump::from_file_name(name, &config("{}")), None);
        }
    }
}
