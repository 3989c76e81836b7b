//! vykar, which has a format of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tthost_tests::command;
use tthost_tests::offsite::PASSWORD;

use super::super::repository::Repository;
use super::super::subject::{Data, Format, Subject, utf8};
use super::restic::dump_into;
use super::{Contender, OnRestic, Workspace, version_of, words};

/// This program.
pub(super) struct Vykar(pub(super) PathBuf);

impl Contender for Vykar {
    fn name(&self) -> &'static str {
        "vykar"
    }

    fn version(&self) -> Result<String> {
        version_of(Command::new(&self.0).arg("--version"))
    }

    fn on_restic(&self) -> Option<&dyn OnRestic> {
        None
    }

    fn init(&self, workspace: &Workspace<'_>) -> Result<()> {
        let mut text = "repositories:\n".to_owned();
        for (number, repository) in workspace.repositories.iter().enumerate() {
            write_repository(&mut text, number, repository)?;
        }
        let source = match &workspace.subject.data {
            Data::Tree(path) | Data::Beside { tree: path, .. } => {
                format!("path: {:?}", utf8(path)?)
            }
            Data::Pipe(argv) => dumped_by(&words(argv.iter().map(String::as_str))),
            // It keeps what a command prints, and a directory is nothing that one prints.
            Data::Database(Format::Directory, _) => {
                format!("path: {:?}", utf8(&workspace.work.join("dump"))?)
            }
            Data::Database(format, postgres) => {
                let dump = postgres.client("pg_dump", Subject::database());
                let program = utf8(Path::new(dump.get_program()))?;
                dumped_by(&words([program, format.argument(), "--compress=0"]))
            }
        };
        let _ = write!(text, "sources:\n  - label: source\n    {source}\n");
        fs::write(workspace.work.join("vykar.yaml"), text)?;
        command::run(&mut self.command(workspace, &["init"]))?
            .success()
            .map(drop)
    }

    fn backup(&self, workspace: &Workspace<'_>) -> Result<Vec<Command>> {
        let mut backup = self.command(workspace, &["backup"]);
        let Data::Database(format, postgres) = &workspace.subject.data else {
            return Ok(vec![backup]);
        };
        let mut dump = postgres.client("pg_dump", Subject::database());
        backup.envs(
            dump.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        if *format == Format::Custom {
            return Ok(vec![backup]);
        }
        dump.args([format.argument(), "--compress=0"]);
        let directory = workspace.work.join("dump");
        Ok(vec![dump_into(&dump, directory.as_os_str()), backup])
    }

    fn restore(&self, workspace: &Workspace<'_>, target: &Path) -> Result<Command> {
        Ok(self.command(
            workspace,
            &["restore", "--repo", &label(0), "latest", utf8(target)?],
        ))
    }
}

impl Vykar {
    fn command(&self, workspace: &Workspace<'_>, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command
            .arg("--config")
            .arg(workspace.work.join("vykar.yaml"))
            .args(arguments)
            .current_dir(workspace.work)
            .env("VYKAR_PASSPHRASE", PASSWORD)
            // It keeps a cache and what it knows of repositories there.
            .env("HOME", workspace.work)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME");
        command
    }
}

fn write_repository(text: &mut String, number: usize, repository: &Repository) -> Result<()> {
    let _ = writeln!(text, "  - label: {}", label(number));
    match repository {
        Repository::Directory(path) => {
            let _ = writeln!(text, "    url: {:?}", utf8(path)?);
        }
        Repository::Bucket { offsite, .. } => {
            let host = offsite.endpoint.strip_prefix("http://");
            let host = host.context("the server speaks plain HTTP")?;
            let _ = write!(
                text,
                "    url: \"s3+http://{host}/{}\"\n    region: us-east-1\n    \
                 access_key_id: {:?}\n    secret_access_key: {:?}\n    allow_insecure_http: true\n",
                offsite.place, offsite.access_key, offsite.secret_key
            );
        }
    }
    Ok(())
}

fn label(number: usize) -> String {
    format!("repository-{number}")
}

fn dumped_by(command: &str) -> String {
    format!("command_dumps:\n      - name: database.sql\n        command: {command:?}")
}
