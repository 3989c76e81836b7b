//! The environment variables that the configuration uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::dotenv::{self, Fault};
use crate::error::{Error, Kind, Result};
use crate::operator_file::{self, MAX_TEXT_SIZE};

/// The variable that names a file of variables.
const FILE: &str = "TTHOST_ENV_FILE";

/// Variables by name. They may hold secrets, so nothing prints their values.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Variables whose lines cannot be read, and what is wrong with them.
    faulty: BTreeMap<String, String>,
    /// Variables that are set to something that is not text.
    unreadable: BTreeSet<String>,
    /// The file that some of them came from.
    file: Option<PathBuf>,
}

impl Environment {
    /// Those of this process, and those of the named file, else of the file in `TTHOST_ENV_FILE`. Variables of the process win.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.variables.insert(name, value)),
                (Ok(name), Err(_)) => drop(environment.unreadable.insert(name)),
                (Err(_), _) => {}
            }
        }
        let named = file.map(Path::to_owned);
        if let Some(file) = named.or_else(|| environment.get(FILE).map(PathBuf::from)) {
            environment.add_file(&file)?;
        }
        Ok(environment)
    }

    /// Adds those of a file in the form of `.env`; what is set already stays. A line that cannot be read is warned of and
    /// left out: it is no reason to lose a backup that needs the others alone.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let failed = |cause: std::io::Error| {
            let text = format!("the environment file {} cannot be read", path.display());
            Error::new(Kind::Config, text).caused_by(cause)
        };
        let path = std::path::absolute(path).map_err(failed)?;
        let bytes = operator_file::read(&path, MAX_TEXT_SIZE).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes);
        let (variables, faults) = dotenv::parse(&text, |name| self.variables.get(name).cloned());
        for Fault { line, name, what } in faults {
            let fault = format!("{} line {line} is left out: {what}", path.display());
            warn!(help = "the variables of the other lines are set", "{fault}");
            if let Some(name) = name {
                self.faulty.insert(name, fault);
            }
        }
        for (name, value) in variables {
            self.variables.entry(name).or_insert(value);
        }
        self.file = Some(path);
        Ok(())
    }

    /// Refuses to go on without a variable of these prefixes that somebody has meant to set.
    pub fn expect_readable(&self, prefixes: &[&str]) -> Result<()> {
        let is_meant = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let mut faulty = self.faulty.iter();
        match faulty.find(|(name, _)| is_meant(name) && self.get(name).is_none()) {
            Some((_, fault)) => {
                let error = Error::new(Kind::Config, fault.as_str());
                Err(error.help("mend the line: what it says is needed here"))
            }
            None => Ok(()),
        }
    }

    /// Refuses a variable that is set to something else than text.
    pub fn expect_text(&self, name: &str) -> Result<()> {
        if self.unreadable.contains(name) && !self.variables.contains_key(name) {
            let text = format!("the variable {name} is not UTF-8");
            return Err(
                Error::new(Kind::Config, text).help("put it into a file, which may hold any bytes")
            );
        }
        Ok(())
    }

    /// The file that was added.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A variable, if it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Those of them with these names, without the file.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let found = names
            .iter()
            .filter_map(|name| self.variables.get_key_value(*name));
        found
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// All of them but this one.
    #[must_use]
    pub(super) fn without(&self, name: &str) -> Self {
        let others = self.variables.iter().filter(|(other, _)| *other != name);
        others
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// The variables that a pattern means: a name, or the beginning of one followed by `*`.
    pub(super) fn matching(&self, pattern: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = pattern.strip_suffix('*');
        self.variables
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
        Self {
            variables: variables.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_what_the_process_does_not_and_a_bad_line_is_no_reason_to_lose_the_others() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join(".env");
        std::fs::write(
            &path,
            "A=file\nB=file\nthis is not a variable\nC=two words\n",
        )
        .expect("there is room");
        let process = [("A".to_owned(), "process".to_owned())];
        let mut environment: Environment = process.into_iter().collect();
        environment.add_file(&path).expect("it can be read");
        let values = ["A", "B", "C"].map(|name| environment.get(name));
        assert_eq!(values, [Some("process"), Some("file"), Some("two words")]);
        assert_eq!(environment.file(), Some(path.as_path()));
        let missing = directory.path().join("missing");
        let error = environment.add_file(&missing).expect_err("it is not there");
        assert!(error.message().contains("missing"), "{error}");
    }
}
