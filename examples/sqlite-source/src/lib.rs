//! `SQLite` databases, while others write to them: the granted command `sqlite3` makes a copy with `SQLite`'s online backup.
//!
//! The program can write nowhere but in its own `/tmp`, so the copy goes there, and from there to the host. Whoever grants the
//! program says how large a database can be (`scratch`), and lets it see the directories of the databases (`read`): what was not yet written
//! to a database is in files beside it.

mod image;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use image::Image;
use tthost_plugin::source::{Caller, Contents, Entries, Node, Nothing, Reader, Source};
use tthost_plugin::{About, Error, Result, command};

tthost_plugin::configuration! {
    /// What is backed up.
    struct Config {
        /// The databases, each as the absolute path of its file.
        databases: Vec<String>,
    }
    needs {
        command "sqlite3": "It copies the databases.",
    }
}

struct Sqlite {
    /// The databases by the names that they have in a snapshot.
    databases: BTreeMap<String, String>,
}

tthost_plugin::export_source!(Sqlite);

impl Source for Sqlite {
    type Config = Config;
    type Restoration = Nothing;

    const ABOUT: About = About {
        name: "sqlite-source",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Backs up SQLite databases that are in use",
    };

    async fn open(Config { databases }: Config, _: Caller) -> Result<Self> {
        let mut named = BTreeMap::new();
        for database in databases {
            let name = match database.rsplit_once('/') {
                Some((_, name)) if database.starts_with('/') && !name.is_empty() => name.to_owned(),
                _ => {
                    let text =
                        format!("config.databases: {database} is not the absolute path of a file");
                    return Err(Error::Config(text));
                }
            };
            if let Some(other) = named.insert(format!("/{name}"), database.clone()) {
                let text = format!("config.databases: {other} and {database} have the same name");
                return Err(Error::Config(text));
            }
        }
        if named.is_empty() {
            return Err(Error::Config("config.databases names no database".into()));
        }
        Ok(Self { databases: named })
    }

    fn paths(&self) -> Vec<String> {
        self.databases.keys().cloned().collect()
    }
}

impl Reader for Sqlite {
    type File = String;

    fn entries(&mut self) -> Entries<String> {
        // How long a copy is, only the copy tells.
        let nodes = self.databases.clone().into_iter();
        Entries::of(nodes.map(|(path, database)| Node::file(path, None, database)))
    }

    async fn read(&self, database: &String) -> Result<Contents> {
        // Where programs have no `/tmp` of their own, others have files there too.
        let copy = format!("/tmp/tthost-{:016x}.db", RandomState::new().hash_one(()));
        let arguments = [
            "-init",
            "/dev/null",
            "-batch",
            "-bail",
            "-readonly",
            database,
            ".timeout 30000",
            &format!(".backup main {copy}"),
            &format!(".system cat {copy}"),
            &format!(".system rm {copy}"),
        ];
        let copied = command::run_from("sqlite3", &arguments).await?;
        // The exit code says nothing of `cat`.
        Ok(Contents::from(copied.checked(Image::default())))
    }
}
