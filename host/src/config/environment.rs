//! The environment variables that the configuration looks at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Variables by name. They may hold secrets, so nothing prints their values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process, except what is not Unicode.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Adds those of a file in the form of `.env`; what is set already stays.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let failed = || {
            let text = format!("the environment file {} cannot be read", path.display());
            Error::new(Kind::Config, text)
        };
        let variables = dotenvy::from_path_iter(path);
        for variable in variables.map_err(|cause| failed().caused_by(cause))? {
            let (name, value) = variable.map_err(|cause| match cause {
                // The line may hold a secret.
                dotenvy::Error::LineParse(_, column) => {
                    failed().caused_by(format!("a line is not NAME=VALUE, at column {column}"))
                }
                other => failed().caused_by(other),
            })?;
            self.0.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// A variable, if it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variables that a pattern means: a name, or the beginning of one followed by `*`.
    pub(super) fn matching(&self, pattern: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = pattern.strip_suffix('*');
        self.0
            .iter()
            .filter(move |(name, _)| match prefix {
                Some(prefix) => name.starts_with(prefix),
                None => *name == pattern,
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
