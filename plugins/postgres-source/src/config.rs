//! The plugin's configuration.

use serde::Deserialize;
use tthost_plugin::{Configuration, Error, Need};

use crate::program;

/// The JSON Schema of [`Config`].
const SCHEMA: &str = include_str!("config.schema.json");

/// The settings of the plugin.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(crate) struct Config {
    pub(crate) databases: Databases,
    /// Patterns of databases to exclude from "all".
    pub(crate) exclude_databases: Vec<String>,
    pub(crate) format: Format,
    /// The name of the dump of a single database in a snapshot, in place of the database's name.
    pub(crate) file: Option<String>,
    /// A restoration replaces existing objects. Not by default: `pg_dump --clean` cannot drop the
    /// primary keys of partitions, nor replace a view whose schema is missing.
    pub(crate) clean: bool,
    pub(crate) schemas: Vec<String>,
    pub(crate) exclude_schemas: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) exclude_tables: Vec<String>,
    /// Tables that are dumped without their rows.
    pub(crate) exclude_table_data: Vec<String>,
    pub(crate) no_owner: bool,
    pub(crate) no_privileges: bool,
    /// Also dump roles and tablespaces, into a file of their own.
    pub(crate) globals: bool,
    /// Accept any output as a dump, because other programs replace those of `PostgreSQL`.
    pub(crate) unchecked: bool,
    /// The role that a restoration connects as, unless the operator asks for another one.
    pub(crate) restore_role: Option<String>,
    /// The database from which others are created and renamed.
    pub(crate) maintenance_database: Maintenance,
}

/// The selection of databases.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(from = "Listed")]
pub(crate) enum Databases {
    /// libpq's default database.
    #[default]
    Default,
    /// All except `template0` and `template1`.
    All,
    /// The named ones.
    Named(Vec<String>),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "databases has to be a list of names, or \"all\""
)]
enum Listed {
    All(All),
    Named(Vec<String>),
}

#[derive(Deserialize)]
enum All {
    #[serde(rename = "all")]
    All,
}

impl From<Listed> for Databases {
    fn from(listed: Listed) -> Self {
        match listed {
            Listed::All(All::All) => Self::All,
            Listed::Named(names) => Self::Named(names),
        }
    }
}

/// The format of a dump.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// SQL.
    #[default]
    Plain,
    /// An archive for `pg_restore`, not compressed: a compressed dump does not deduplicate
    /// against the one of the day before.
    Custom,
    /// An archive for `pg_restore` in which each table is a file.
    Tar,
}

impl Format {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Custom, Self::Tar];

    /// The extension of its files.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Plain => "sql",
            Self::Custom => "dump",
            Self::Tar => "tar",
        }
    }
}

/// The maintenance database.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Maintenance(String);

impl Default for Maintenance {
    fn default() -> Self {
        Self("postgres".into())
    }
}

impl Maintenance {
    /// The database to connect to while these are renamed. A database cannot be renamed from itself.
    pub(crate) fn of(&self, databases: &[&str]) -> &str {
        if databases.contains(&self.0.as_str()) {
            "template1"
        } else {
            &self.0
        }
    }
}

impl Configuration for Config {
    fn needs() -> Vec<Need> {
        program::needs()
    }

    fn schema() -> String {
        SCHEMA.into()
    }

    fn read(config: &str) -> tthost_plugin::Result<Self> {
        Self::parse(config).map_err(Error::Config)
    }
}

impl Config {
    /// Parses the configuration. The error is a sentence for the operator.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let config: Self =
            serde_json::from_str(json).map_err(|cause| format!("config: {cause}"))?;
        config.check().map_err(|fault| format!("config: {fault}"))?;
        Ok(config)
    }

    /// The setting that makes a dump a part of its database, if any.
    pub(crate) fn selects(&self) -> Option<&'static str> {
        let selections = [
            ("schemas", &self.schemas),
            ("exclude-schemas", &self.exclude_schemas),
            ("tables", &self.tables),
            ("exclude-tables", &self.exclude_tables),
        ];
        let mut selections = selections.into_iter();
        selections
            .find(|(_, patterns)| !patterns.is_empty())
            .map(|(key, _)| key)
    }

    fn check(&self) -> Result<(), String> {
        if let Databases::Named(names) = &self.databases {
            if names.is_empty() {
                return Err(
                    "databases is empty; name some, or leave it out for libpq's default".into(),
                );
            }
            for (index, name) in names.iter().enumerate() {
                check_database(name)?;
                if names[..index].contains(name) {
                    return Err(format!("the database {name:?} is named twice"));
                }
            }
        }
        if !self.exclude_databases.is_empty() && self.databases != Databases::All {
            return Err("exclude-databases takes databases = \"all\"".into());
        }
        if let Some(file) = &self.file {
            self.check_file(file)?;
        }
        check_database(&self.maintenance_database.0)?;
        if let Some(role) = &self.restore_role {
            check_role(role)?;
        }
        for (key, patterns) in [
            ("schemas", &self.schemas),
            ("exclude-schemas", &self.exclude_schemas),
            ("tables", &self.tables),
            ("exclude-tables", &self.exclude_tables),
            ("exclude-table-data", &self.exclude_table_data),
        ] {
            if let Some(pattern) = patterns.iter().find(|pattern| !is_name(pattern)) {
                return Err(format!("{key}: {pattern:?} is not a pattern of names"));
            }
        }
        Ok(())
    }

    fn check_file(&self, file: &str) -> Result<(), String> {
        let ending = self.format.ending();
        let stem = file
            .strip_suffix(ending)
            .and_then(|stem| stem.strip_suffix('.'));
        if stem.is_none_or(|stem| !is_name(stem) || stem.contains('/')) {
            return Err(format!(
                "file: {file:?} is not a file name that ends with \".{ending}\""
            ));
        }
        match &self.databases {
            Databases::Default => Ok(()),
            Databases::Named(names) if names.len() == 1 => Ok(()),
            Databases::All | Databases::Named(_) => {
                Err("file names one dump, and databases are several".into())
            }
        }
    }
}

/// Refuses text that is unlikely to be the name of a database.
pub(crate) fn check_database(name: &str) -> Result<(), String> {
    if is_name(name) {
        Ok(())
    } else {
        Err(format!(
            "the database name {name:?} cannot be used: it must not be empty or hold control characters"
        ))
    }
}

/// Refuses text that is unlikely to be the name of a role.
pub(crate) fn check_role(name: &str) -> Result<(), String> {
    if is_name(name) {
        Ok(())
    } else {
        Err(format!("{name:?} is not a name of a role"))
    }
}

/// Whether a text may be a name. It may begin like an option, because it follows an option's `=`. A line break is a
/// mistake or an attack.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_to_be_configured() {
        assert_eq!(Config::parse("{}"), Ok(Config::default()));
    }

    #[test]
    fn databases_are_a_list_or_all() {
        let databases = |json| Config::parse(json).map(|config| config.databases);
        assert_eq!(databases(r#"{"databases": "all"}"#), Ok(Databases::All));
        assert_eq!(
            databases(r#"{"databases": ["a", "b=c"]}"#),
            Ok(Databases::Named(vec!["a".into(), "b=c".into()]))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, complaint) in [
            (r#"{"database": "shop"}"#, "unknown field `database`"),
            (r#"{"databases": "shop"}"#, "a list of names, or \"all\""),
            (r#"{"databases": []}"#, "databases is empty"),
            (r#"{"databases": ["a", "a"]}"#, "\"a\" is named twice"),
            (r#"{"databases": [""]}"#, "\"\""),
            (r#"{"databases": ["a\nb"]}"#, r#""a\nb""#),
            (r#"{"databases": ["a\u0000b"]}"#, r#""a\0b""#),
            (
                r#"{"file": "a.sql", "databases": "all"}"#,
                "file names one dump",
            ),
            (
                r#"{"file": "a.sql", "databases": ["a", "b"]}"#,
                "file names one dump",
            ),
            (
                r#"{"file": "a.dump"}"#,
                "\"a.dump\" is not a file name that ends with \".sql\"",
            ),
            (
                r#"{"file": "a.sql", "format": "custom"}"#,
                "ends with \".dump\"",
            ),
            (r#"{"file": "a/b.sql"}"#, "\"a/b.sql\""),
            (r#"{"file": ".sql"}"#, "\".sql\""),
            (r#"{"format": "zip"}"#, "unknown variant `zip`"),
            (r#"{"tables": [""]}"#, "tables: \"\" is not a pattern"),
            (
                r#"{"exclude-schemas": ["a\nb"]}"#,
                r#"exclude-schemas: "a\nb" is not a pattern"#,
            ),
        ] {
            let error = Config::parse(json).expect_err("it is wrong");
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_schema_has_the_same_keys_and_defaults() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("it is JSON");
        let properties = schema["properties"]
            .as_object()
            .expect("there are properties");

        // serde lists the known keys when it finds an unknown one.
        let error = Config::parse(r#"{"x": 1}"#).expect_err("there is no x");
        let mut known: Vec<_> = error.split('`').skip(1).step_by(2).skip(1).collect();
        known.sort_unstable();
        let mut described: Vec<_> = properties.keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(described, known);

        let defaults: serde_json::Map<_, _> = properties
            .iter()
            .filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone())))
            .collect();
        let spelled_out = serde_json::Value::Object(defaults).to_string();
        assert_eq!(Config::parse(&spelled_out), Ok(Config::default()));
    }
}
