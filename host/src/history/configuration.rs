//! Assigns a run to its configuration. Two configurations that share a state directory may use one name for different
//! things.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rusqlite::Connection;

/// A configuration, by what its runs are recorded under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration(String);

impl Configuration {
    /// That of this file; without one, the environment alone.
    pub fn of(file: Option<&Path>) -> Self {
        let named = file.map_or_else(PathBuf::new, plain);
        Self(named.to_string_lossy().into_owned())
    }

    /// The path of the file; empty where there is none.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether what is recorded under this name is its own too: another name of the same file.
    fn is(&self, recorded: &str) -> bool {
        let file = |name: &str| {
            let metadata = fs::metadata(name).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        recorded == self.0 || file(recorded).is_some_and(|recorded| Some(recorded) == file(&self.0))
    }
}

/// The path as the operator names it: a link that is pointed elsewhere stays the same configuration.
fn plain(file: &Path) -> PathBuf {
    let named = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut components = named.components();
    if components.any(|component| component == Component::ParentDir) {
        // Where it goes back to from a link, only the system knows.
        fs::canonicalize(&named).unwrap_or(named)
    } else {
        named
    }
}

/// Lets the connection tell apart what belongs to a configuration: `own` has its names, `own_runs` its runs. Older versions
/// recorded no name; that may be anybody's.
pub(super) fn scope(
    connection: &mut Connection,
    configuration: &Configuration,
) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE own (config TEXT NOT NULL);
         CREATE TEMP VIEW own_runs AS SELECT * FROM main.runs
             WHERE config IS NULL OR config IN (SELECT config FROM own);",
    )?;
    let mut names = recorded(connection)?;
    names.retain(|name| configuration.is(name));
    names.push(configuration.0.clone());
    for name in names {
        connection.execute("INSERT INTO own VALUES (?1)", [name])?;
    }
    begin(connection, configuration)
}

fn recorded(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut asked =
        connection.prepare("SELECT DISTINCT config FROM runs WHERE config IS NOT NULL")?;
    let names = asked.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Remembers since when the configuration is known. What an older version remembered is that of the first that comes.
fn begin(connection: &mut Connection, configuration: &Configuration) -> rusqlite::Result<()> {
    let known = "SELECT EXISTS (SELECT 1 FROM origin WHERE config IN (SELECT config FROM own))";
    if connection.query_row(known, [], |row| row.get(0))? {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    let name = [configuration.name()];
    let taken = transaction.execute("UPDATE origin SET config = ?1 WHERE config IS NULL", name)?;
    if taken == 0 {
        transaction.execute(
            "INSERT INTO origin (config, began)
             SELECT ?1, CAST(unixepoch('subsec') * 1000 AS INTEGER)
             WHERE NOT EXISTS (SELECT 1 FROM origin WHERE config = ?1)",
            name,
        )?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_configuration_stays_the_same_by_its_path_and_by_its_file() {
        let directory = tempfile::tempdir().expect("there is room");
        let [first, second, link] =
            ["first.toml", "second.toml", "link.toml"].map(|name| directory.path().join(name));
        for file in [&first, &second] {
            fs::write(file, "").expect("there is room");
        }
        symlink(&first, &link).expect("there is room");
        let of = |path: &Path| Configuration::of(Some(path));
        assert!(of(&first).is(of(&link).name()) && of(&link).is(of(&first).name()));
        assert!(!of(&first).is(of(&second).name()));
        assert!(!Configuration::of(None).is(of(&first).name()));
        let detour = directory.path().join("nowhere/../first.toml");
        assert!(!of(&detour).is(of(&first).name()), "it leads nowhere");
        fs::create_dir(directory.path().join("nowhere")).expect("there is room");
        assert!(of(&detour).is(of(&first).name()));
        let before = of(&link);
        fs::remove_file(&link).expect("it is there");
        symlink(&second, &link).expect("there is room");
        assert_eq!(of(&link), before, "a link that is pointed elsewhere");
    }
}
