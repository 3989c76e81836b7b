//! The programs that compete, each set up as its manual says. None has a cache of a repository in
//! a directory; of one in a bucket each has what it keeps by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tthost_tests::command;
use tthost_tests::configuration::Configuration;
use tthost_tests::offsite::PASSWORD;
use tthost_tests::tthost;

use super::repository::Repository;
use super::subject::{Form, Subject};
use crate::shell;

/// A program that backs up.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// As the program itself says it.
    pub(crate) version: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tthost,
    Restic,
    Rustic,
}

/// All of them; tthost is the first.
pub(crate) fn all() -> Result<Vec<Contender>> {
    let kinds = [
        ("tthost", Kind::Tthost),
        ("restic", Kind::Restic),
        ("rustic", Kind::Rustic),
    ];
    let contenders = kinds.map(|(name, kind)| {
        let mut contender = Contender {
            name,
            version: String::new(),
            kind,
        };
        let argument = if kind == Kind::Restic {
            "version"
        } else {
            "--version"
        };
        let nowhere = Repository::Directory("none".into());
        let mut command = contender.command(&nowhere, &[argument])?;
        let output = command::run(&mut command)?.success()?;
        let words: Vec<&str> = output.text()?.split_whitespace().take(2).collect();
        contender.version = words.join(" ");
        Ok(contender)
    });
    contenders.into_iter().collect()
}

/// The path of the one file in the latest snapshot.
pub(crate) fn stored_path(repository: &Repository) -> Result<String> {
    let mut files = repository.restic()?.files("latest")?;
    files.pop().context("the snapshot has no file")
}

impl Contender {
    /// Makes the repository, and for tthost a configuration in `work`, where all commands run.
    pub(crate) fn init(
        &self,
        subject: &Subject,
        work: &Path,
        repository: &Repository,
    ) -> Result<()> {
        // The same for all, so that nobody has an advantage from its parameters.
        repository.restic()?.init()?;
        if self.kind == Kind::Tthost && subject.form == Form::Pipe {
            let password_file = work.join("password");
            fs::write(&password_file, PASSWORD)?;
            let configuration = Configuration {
                options: "databases = [\"database\"]\n".to_owned(),
                // What the plugin adds to these arguments is not read by `cat`.
                pg_dump: ["sh", "-c", "exec cat \"$0\"", utf8(&subject.path)?]
                    .map(str::to_owned)
                    .to_vec(),
                environment: Vec::new(),
                repository: repository.address().into(),
                password_file,
            };
            let mut text = configuration.to_toml();
            // Beside its sink for directories, which nothing uses then.
            if let Repository::Bucket { offsite, .. } = repository {
                text.push_str(&offsite.to_toml(repository.sink()));
            }
            fs::write(work.join("tthost.toml"), text)?;
        }
        Ok(())
    }

    /// Backs up a directory, or a text from a pipe that `cat` fills.
    pub(crate) fn backup(&self, subject: &Subject, repository: &Repository) -> Result<Command> {
        let path = utf8(&subject.path)?;
        match (subject.form, self.kind) {
            (Form::Pipe, Kind::Tthost) => self.command(
                repository,
                &["run", "--source", "postgres", "--sink", repository.sink()],
            ),
            (Form::Pipe, Kind::Restic) => self.fed_by_pipe(
                subject,
                repository,
                &["backup", "--stdin", "--stdin-filename", "database.sql"],
            ),
            (Form::Pipe, Kind::Rustic) => self.fed_by_pipe(
                subject,
                repository,
                // Without `--force` it takes the text for unchanged and does not read it.
                &["backup", "--force", "--stdin-filename", "database.sql", "-"],
            ),
            (Form::Tree, Kind::Tthost) => {
                let source = format!("dir:{path}");
                let run = ["run", "--source", &source, "--sink", repository.sink()];
                let mut command = self.command(repository, &run)?;
                command
                    .env("RESTIC_REPOSITORY", repository.address())
                    .env("RESTIC_PASSWORD", PASSWORD);
                Ok(command)
            }
            (Form::Tree, Kind::Restic | Kind::Rustic) => {
                self.command(repository, &["backup", path])
            }
        }
    }

    /// Restores the directory of the latest snapshot into `target`.
    pub(crate) fn restore(
        &self,
        subject: &Subject,
        repository: &Repository,
        target: &Path,
    ) -> Result<Command> {
        let target = utf8(target)?;
        match self.kind {
            Kind::Tthost => {
                let restore = [
                    "restore",
                    "latest",
                    "--sink",
                    repository.sink(),
                    "--yes",
                    "--to",
                ];
                let mut command = self.command(repository, &[&restore[..], &[target]].concat())?;
                command
                    .env("RESTIC_REPOSITORY", repository.address())
                    .env("RESTIC_PASSWORD", PASSWORD);
                Ok(command)
            }
            Kind::Restic => self.command(repository, &["restore", "latest", "--target", target]),
            Kind::Rustic => {
                let from = format!("latest:{}", utf8(&subject.path)?);
                self.command(repository, &["restore", &from, target])
            }
        }
    }

    /// Reads the file at `path` of the latest snapshot back to standard output.
    pub(crate) fn dump(&self, repository: &Repository, path: &str) -> Result<Command> {
        match self.kind {
            Kind::Tthost => self.command(
                repository,
                &["restore", "latest", "--sink", repository.sink(), "--stdout"],
            ),
            Kind::Restic => self.command(repository, &["dump", "latest", path]),
            Kind::Rustic => self.command(repository, &["dump", &format!("latest:{path}")]),
        }
    }

    fn command(&self, repository: &Repository, arguments: &[&str]) -> Result<Command> {
        Ok(match self.kind {
            Kind::Tthost => {
                let mut command = Command::new(tthost::release()?);
                command.args(arguments).current_dir(shell::root());
                command
            }
            Kind::Restic => {
                let restic = repository.restic()?;
                match repository {
                    Repository::Directory(_) => restic.command(arguments),
                    Repository::Bucket { cache, .. } => {
                        // It is set up to have none; what comes later on the command line counts.
                        let cached = ["--no-cache=false", "--cache-dir", utf8(cache)?];
                        restic.command(&[&cached, arguments].concat())
                    }
                }
            }
            Kind::Rustic => {
                let mut command = repository.rustic()?.command(arguments);
                if let Repository::Bucket { cache, .. } = repository {
                    command
                        .env_remove("RUSTIC_NO_CACHE")
                        .env("RUSTIC_CACHE_DIR", cache);
                }
                command
            }
        })
    }

    fn fed_by_pipe(
        &self,
        subject: &Subject,
        repository: &Repository,
        arguments: &[&str],
    ) -> Result<Command> {
        let inner = self.command(repository, arguments)?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "text=$1; shift; cat \"$text\" | \"$@\"", "sh"])
            .arg(&subject.path);
        shell.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Ok(shell)
    }
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
