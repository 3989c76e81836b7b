//! tthost itself: its release build, with its own cache of compiled components.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tthost_tests::configuration::Configuration;
use tthost_tests::offsite::PASSWORD;
use tthost_tests::tthost;

use super::super::repository::Repository;
use super::super::subject::{Data, Subject, utf8};
use super::{Contender, OnRestic, Workspace, version_of};

const PASSWORD_FILE: &str = "password";

pub(super) struct Tthost;

impl Contender for Tthost {
    fn name(&self) -> &'static str {
        "tthost"
    }

    fn version(&self) -> Result<String> {
        version_of(Command::new(tthost::release()?).arg("--version"))
    }

    fn on_restic(&self) -> Option<&dyn OnRestic> {
        Some(self)
    }

    fn init(&self, workspace: &Workspace<'_>) -> Result<()> {
        workspace.make_repositories()?;
        let password_file = workspace.work.join(PASSWORD_FILE);
        fs::write(&password_file, PASSWORD)?;
        let mut text = match &workspace.subject.data {
            Data::Tree(_) | Data::Beside { .. } => String::new(),
            Data::Pipe(argv) => {
                // What the plugin adds to these arguments is not read. Files that are arguments of their own are
                // there for a granted program.
                let script = format!("exec \"${{@:1:{}}}\"", argv.len());
                let mut pg_dump = ["bash", "-c", &script, "bash"].map(str::to_owned).to_vec();
                pg_dump.extend_from_slice(argv);
                let configuration = Configuration {
                    options: "databases = [\"database\"]\n".to_owned(),
                    pg_dump,
                    environment: Vec::new(),
                    repository: PathBuf::new(),
                    password_file: PathBuf::new(),
                };
                configuration.source_to_toml()
            }
            Data::Database(format, postgres) => {
                let nowhere = Path::new("");
                let databases = [Subject::database()];
                let mut configuration = Configuration::new(postgres, &databases, nowhere, nowhere);
                let _ = writeln!(
                    configuration.options,
                    "format = \"{}\"",
                    format.of_the_source()
                );
                configuration.source_to_toml()
            }
        };
        for (number, repository) in workspace.repositories.iter().enumerate() {
            text.push_str(&match repository {
                Repository::Directory(path) => {
                    local_sink(&sink(number), utf8(path)?, utf8(&password_file)?)
                }
                Repository::Bucket { offsite, .. } => offsite.to_toml(&sink(number)),
            });
        }
        Ok(fs::write(workspace.work.join("tthost.toml"), text)?)
    }

    fn backup(&self, workspace: &Workspace<'_>) -> Result<Vec<Command>> {
        let source = match &workspace.subject.data {
            Data::Tree(path) | Data::Beside { tree: path, .. } => {
                format!("dir:{}", utf8(path)?)
            }
            Data::Pipe(_) | Data::Database(..) => "postgres".to_owned(),
        };
        let mut command = program()?;
        command.args(["run", "--source", &source]);
        for number in 0..workspace.repositories.len() {
            command.args(["--sink", &sink(number)]);
        }
        Ok(vec![command])
    }

    fn restore(&self, workspace: &Workspace<'_>, target: &Path) -> Result<Command> {
        let mut command = program()?;
        command.args(["restore", "latest", "--sink", &sink(0)]);
        match workspace.subject.data {
            Data::Tree(_) | Data::Beside { .. } => command.args(["--yes", "--to", utf8(target)?]),
            Data::Pipe(_) | Data::Database(..) => command.arg("--stdout"),
        };
        Ok(command)
    }
}

impl OnRestic for Tthost {
    fn list(&self, _: &Workspace<'_>) -> Result<Command> {
        let mut command = program()?;
        command.args(["ls", "latest", "--sink", &sink(0)]);
        Ok(command)
    }

    fn prune(&self, _: &Workspace<'_>) -> Result<Command> {
        let mut command = program()?;
        command.args(["prune", "--keep-last", "unlimited", "--sink", &sink(0)]);
        Ok(command)
    }
}

fn program() -> Result<Command> {
    Ok(Command::new(tthost::release()?))
}

fn sink(number: usize) -> String {
    format!("sink-{number}")
}

fn local_sink(name: &str, path: &str, password_file: &str) -> String {
    format!(
        "[sinks.{name}]\nplugin = \"restic-sink\"\n\
         [sinks.{name}.grants]\n\
         directories.repository = {{ path = {path:?}, access = \"read-write\" }}\n\
         secrets.password = {{ file = {password_file:?} }}\n\n"
    )
}
