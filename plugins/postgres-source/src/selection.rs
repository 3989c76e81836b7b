//! Selects the databases of a capture, and reports those that cannot be dumped.

use tthost_plugin::tree::Completeness;
use tthost_plugin::{Error, Level, log};

use crate::arguments;
use crate::capture::psql_output;
use crate::config::{Config, Databases, check_database};

/// What a capture dumps.
pub(crate) struct Selection {
    /// The databases; none for the one that libpq takes by itself.
    pub(crate) databases: Vec<Option<String>>,
    pub(crate) completeness: Completeness,
}

impl Selection {
    /// What the configuration means.
    pub(crate) async fn new(config: &Config) -> Result<Self, Error> {
        let databases = match &config.databases {
            Databases::Default => vec![None],
            Databases::Named(names) => names.iter().cloned().map(Some).collect(),
            Databases::All => return all(config).await,
        };
        Ok(Self {
            databases,
            completeness: Completeness::Complete,
        })
    }
}

/// All databases of the server but the excluded ones. Those that cannot be dumped are named.
async fn all(config: &Config) -> Result<Selection, Error> {
    let list = psql_output(arguments::list_databases()).await?;
    let (databases, obstacles) = sort(&list, &config.exclude_databases);
    for (name, obstacle) in &obstacles {
        log(
            Level::Warn,
            &format!(
                "the database {name:?} is not dumped: {obstacle} (exclude-databases leaves it out without a warning)"
            ),
        );
    }
    if databases.is_empty() {
        return Err(Error::NotFound(
            "the server has no database that can be dumped".into(),
        ));
    }
    Ok(Selection {
        databases: databases.into_iter().map(Some).collect(),
        completeness: if obstacles.is_empty() {
            Completeness::Complete
        } else {
            log(
                Level::Warn,
                &match obstacles.len() {
                    1 => "1 database is not in the snapshot".to_owned(),
                    several => format!("{several} databases are not in the snapshot"),
                },
            );
            Completeness::Incomplete
        },
    })
}

/// The databases of a list that can be dumped, and the others, each with what is in the way.
fn sort(list: &[u8], excluded: &[String]) -> (Vec<String>, Vec<(String, String)>) {
    let values: Vec<_> = list.split(|byte| *byte == 0).collect();
    let (mut databases, mut obstacles) = (Vec::new(), Vec::new());
    for row in values.chunks_exact(2) {
        let name = String::from_utf8_lossy(row[0]).into_owned();
        if excluded.iter().any(|pattern| matches(pattern, &name)) {
            continue;
        }
        let obstacle = String::from_utf8_lossy(row[1]).into_owned();
        if !obstacle.is_empty() {
            obstacles.push((name, obstacle));
        } else if name.as_bytes() != row[0] {
            obstacles.push((name, "its name is not UTF-8".into()));
        } else if let Err(fault) = check_database(&name) {
            obstacles.push((name, fault));
        } else {
            databases.push(name);
        }
    }
    (databases, obstacles)
}

/// Whether a name is what a pattern says, in which `*` stands for any characters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let mut ends = name.char_indices().map(|(place, _)| place);
            ends.any(|place| matches(rest.as_str(), &name[place..])) || matches(rest.as_str(), "")
        }
        Some(wanted) => {
            let mut characters = name.chars();
            characters
                .next()
                .is_some_and(|found| wanted == '?' || wanted == found)
                && matches(rest.as_str(), characters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_cannot_be_dumped_is_told_from_the_others() {
        let list =
            b"a/b\0\0closed\0it allows no connections\0caf\xe9\0\0sh op\0\0-x\0\0b\nc\0\0tmp_1\0\0";
        let (databases, obstacles) = sort(list, &["tmp_*".into()]);
        assert_eq!(databases, ["a/b", "sh op", "-x"]);
        let names: Vec<_> = obstacles.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["closed", "caf\u{fffd}", "b\nc"]);
        let (_, obstacles) = sort(list, &["tmp_?".into(), "c*".into(), "b?c".into()]);
        assert!(obstacles.is_empty(), "{obstacles:?}");
    }

    #[test]
    fn a_pattern_stands_for_the_whole_name() {
        for (pattern, name, expected) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("s*p", "shop", true),
            ("s*p", "shops", false),
            ("*", "", true),
            ("é?", "éa", true),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
