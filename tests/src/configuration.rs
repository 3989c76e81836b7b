//! A `tthost.toml` for one source and one sink.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::postgres::Postgres;

/// What the programs are that the source may run.
const PROGRAMS: [&str; 4] = ["pg_dump", "pg_dumpall", "psql", "pg_restore"];

/// The source `postgres`, the sink `restic-local`, and the job `nightly` of the two.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The source's options, as the lines of a TOML table.
    pub options: String,
    /// What runs in place of `pg_dump`: a program and its first arguments.
    pub pg_dump: Vec<String>,
    /// The variables that the granted programs see.
    pub environment: Vec<(&'static str, String)>,
    /// The repository's directory.
    pub repository: PathBuf,
    /// The file that holds its password.
    pub password_file: PathBuf,
}

impl Configuration {
    /// Dumps these databases of a server with its own `pg_dump`, in plain format.
    pub fn new(
        postgres: &Postgres,
        databases: &[&str],
        repository: &Path,
        password_file: &Path,
    ) -> Self {
        Self {
            options: format!("databases = {databases:?}\n"),
            pg_dump: vec!["pg_dump".to_owned()],
            environment: postgres.environment("postgres"),
            repository: repository.to_owned(),
            password_file: password_file.to_owned(),
        }
    }

    /// Puts a shell script in the place of `pg_dump`. Its arguments are `"$@"`.
    pub fn dump_with_script(&mut self, script: &str) {
        self.pg_dump = ["sh", "-c", script, "pg_dump"].map(str::to_owned).to_vec();
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let mut text = self.source_to_toml();
        let _ = write!(
            text,
            "[sinks.restic-local]\nplugin = \"restic-sink\"\n\n\
             [sinks.restic-local.grants.directories.repository]\npath = {}\naccess = \"read-write\"\n\n\
             [sinks.restic-local.grants.secrets.password]\nfile = {}\n\n\
             [jobs.nightly]\nsources = [\"postgres\"]\nsinks = [\"restic-local\"]\n",
            quoted(&self.repository),
            quoted(&self.password_file),
        );
        text
    }

    /// The source alone.
    pub fn source_to_toml(&self) -> String {
        let mut text = String::from("[sources.postgres]\nplugin = \"postgres-source\"\n\n");
        let _ = write!(text, "[sources.postgres.config]\n{}\n", self.options);
        for program in PROGRAMS {
            let argv = match program {
                "pg_dump" => self.pg_dump.clone(),
                _ => vec![program.to_owned()],
            };
            let _ = writeln!(text, "[sources.postgres.grants.commands.{program}]");
            let _ = writeln!(text, "argv = {argv:?}");
            for (name, value) in &self.environment {
                let _ = writeln!(text, "env.{name} = {value:?}");
            }
            text.push('\n');
        }
        text
    }
}

/// A path as a TOML string. Rust's escapes are TOML's for what stands in test paths.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}
