//! The plugin's configuration, and the arguments that it makes of it.

use serde::Deserialize;

/// The JSON Schema of [`Config`].
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// What to dump, and how.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    pub(crate) databases: Databases,
    pub(crate) format: Format,
    /// `--clean --if-exists`: a restoration replaces what is there.
    #[serde(default = "yes")]
    pub(crate) clean: bool,
    pub(crate) schemas: Vec<String>,
    pub(crate) exclude_schemas: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) exclude_tables: Vec<String>,
    /// Tables whose definition is dumped, but not their rows.
    pub(crate) exclude_table_data: Vec<String>,
    pub(crate) no_owner: bool,
    pub(crate) no_privileges: bool,
    /// Also roles and tablespaces, as a file of their own.
    pub(crate) globals: bool,
}

/// Which databases.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(from = "Option<Listed>")]
pub(crate) enum Databases {
    /// The one that libpq takes when none is named.
    #[default]
    Default,
    /// All that can be connected to, except templates.
    All,
    /// These.
    Named(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    All(All),
    Named(Vec<String>),
}

#[derive(Deserialize)]
enum All {
    #[serde(rename = "all")]
    All,
}

impl From<Option<Listed>> for Databases {
    fn from(listed: Option<Listed>) -> Self {
        match listed {
            None => Self::Default,
            Some(Listed::All(All::All)) => Self::All,
            Some(Listed::Named(names)) => Self::Named(names),
        }
    }
}

/// The form of a dump.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// SQL.
    #[default]
    Plain,
    /// `pg_restore`'s archive, not compressed: a compressed dump has nothing in common with
    /// the one of the day before.
    Custom,
}

impl Format {
    /// The ending of a dump's name.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Plain => "sql",
            Self::Custom => "dump",
        }
    }
}

fn yes() -> bool {
    true
}

impl Config {
    /// Reads the configuration; the error is a sentence for the operator.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let config: Self =
            serde_json::from_str(json).map_err(|cause| format!("config: {cause}"))?;
        if let Databases::Named(names) = &config.databases {
            if names.is_empty() {
                return Err(
                    "config: databases is empty; name some, or leave it out for libpq's default"
                        .into(),
                );
            }
            for (index, name) in names.iter().enumerate() {
                check_database(name)?;
                if names[..index].contains(name) {
                    return Err(format!("config: the database {name} is named twice"));
                }
            }
        }
        let lists = [
            &config.schemas,
            &config.exclude_schemas,
            &config.tables,
            &config.exclude_tables,
            &config.exclude_table_data,
        ];
        let bad = lists
            .into_iter()
            .flatten()
            .find(|pattern| pattern.is_empty() || pattern.contains('\0'));
        if let Some(pattern) = bad {
            return Err(format!("config: {pattern:?} is no pattern of names"));
        }
        Ok(config)
    }

    /// `pg_dump`'s arguments for this database, libpq's own when none.
    pub(crate) fn dump_arguments(&self, database: Option<&str>) -> Vec<String> {
        let mut arguments = vec!["--no-password".to_owned()];
        match self.format {
            Format::Plain => arguments.push("--format=plain".into()),
            Format::Custom => arguments.extend(["--format=custom".into(), "--compress=0".into()]),
        }
        // In an archive, it is pg_restore that cleans.
        if self.clean && self.format == Format::Plain {
            arguments.extend(["--clean".into(), "--if-exists".into()]);
        }
        for (option, patterns) in [
            ("--schema", &self.schemas),
            ("--exclude-schema", &self.exclude_schemas),
            ("--table", &self.tables),
            ("--exclude-table", &self.exclude_tables),
            ("--exclude-table-data", &self.exclude_table_data),
        ] {
            arguments.extend(patterns.iter().map(|pattern| format!("{option}={pattern}")));
        }
        if self.no_owner {
            arguments.push("--no-owner".into());
        }
        if self.no_privileges {
            arguments.push("--no-privileges".into());
        }
        arguments.extend(database.map(|name| format!("--dbname={}", connection(name))));
        arguments
    }
}

/// Refuses what cannot be the name of a database and of a file at once.
pub(crate) fn check_database(name: &str) -> Result<(), String> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['\0', '\n', '/']);
    if bad {
        Err(format!(
            "the database name {name:?} cannot be used: it has to be a file's name as well"
        ))
    } else {
        Ok(())
    }
}

/// The database in the one form of a connection string in which its name is nothing but a
/// name: alone, one with `=` or `://` in it would be taken for a connection string itself.
pub(crate) fn connection(database: &str) -> String {
    format!(
        "dbname='{}'",
        database.replace('\\', "\\\\").replace('\'', "\\'")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_configured_means_libpqs_database_as_sql_that_replaces() {
        let config = Config::parse("{}").expect("it is a config");
        assert_eq!(config.databases, Databases::Default);
        assert_eq!(
            config.dump_arguments(None),
            ["--no-password", "--format=plain", "--clean", "--if-exists"]
        );
    }

    #[test]
    fn every_setting_reaches_pg_dump() {
        let json = r#"{"databases": ["shop"], "format": "custom", "schemas": ["a"], "exclude-schemas": ["b"],
            "tables": ["c"], "exclude-tables": ["d"], "exclude-table-data": ["e"], "no-owner": true,
            "no-privileges": true}"#;
        let config = Config::parse(json).expect("it is a config");
        assert_eq!(
            config.dump_arguments(Some("shop")),
            [
                "--no-password",
                "--format=custom",
                "--compress=0",
                "--schema=a",
                "--exclude-schema=b",
                "--table=c",
                "--exclude-table=d",
                "--exclude-table-data=e",
                "--no-owner",
                "--no-privileges",
                "--dbname=dbname='shop'"
            ]
        );
        assert_eq!(
            Config::parse(r#"{"databases": "all"}"#).map(|config| config.databases),
            Ok(Databases::All)
        );
    }

    #[test]
    fn a_name_is_never_taken_for_a_connection_string() {
        assert_eq!(connection("host=evil"), "dbname='host=evil'");
        assert_eq!(connection(r"it's \ odd"), r"dbname='it\'s \\ odd'");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, complaint) in [
            (r#"{"database": "shop"}"#, "unknown field `database`"),
            (r#"{"databases": []}"#, "databases is empty"),
            (r#"{"databases": ["a", "a"]}"#, "a is named twice"),
            (r#"{"databases": ["a/b"]}"#, "a/b"),
            (r#"{"format": "tar"}"#, "unknown variant `tar`"),
            (r#"{"tables": [""]}"#, "no pattern"),
        ] {
            let error = Config::parse(json).expect_err("it is wrong");
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_schema_has_the_same_keys() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("it is JSON");
        let keys = schema["properties"]
            .as_object()
            .expect("there are properties")
            .keys();
        for key in keys.clone() {
            let unknown = Config::parse(&format!("{{\"{key}\": {{\"no\": \"value\"}}}}"))
                .expect_err("no value is a map");
            assert!(!unknown.contains("unknown field"), "{key}");
        }
        let error = Config::parse(r#"{"x": 1}"#).expect_err("there is no x");
        let known = error.matches('`').count() / 2 - 1;
        assert_eq!(keys.count(), known, "{error}");
    }
}
