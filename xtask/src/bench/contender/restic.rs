//! restic and rustic, whose commands differ in a few words.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::super::repository::Repository;
use super::super::subject::{Data, Format, utf8};
use super::{Contender, OnRestic, Workspace, fed_by, producer, version_of};

/// This program.
pub(super) struct Restic(pub(super) PathBuf);

/// As its authors release it.
pub(super) struct Rustic;

impl Contender for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }

    fn version(&self) -> Result<String> {
        version_of(Command::new(&self.0).arg("version"))
    }

    fn on_restic(&self) -> Option<&dyn OnRestic> {
        Some(self)
    }

    fn init(&self, workspace: &Workspace<'_>) -> Result<()> {
        workspace.make_repositories()
    }

    fn backup(&self, workspace: &Workspace<'_>) -> Result<Vec<Command>> {
        let from_a_pipe = ["backup", "--stdin", "--stdin-filename", "database.sql"];
        backup(workspace, &from_a_pipe, |repository, arguments| {
            self.command(repository, arguments)
        })
    }

    fn restore(&self, workspace: &Workspace<'_>, target: &Path) -> Result<Command> {
        let repository = workspace.first()?;
        match &workspace.subject.data {
            Data::Tree(_) => self.command(
                repository,
                &["restore", "latest", "--target", utf8(target)?],
            ),
            _ => self.command(repository, &["dump", "latest", &stored_path(workspace)?]),
        }
    }
}

impl OnRestic for Restic {
    fn list(&self, workspace: &Workspace<'_>) -> Result<Command> {
        self.command(workspace.first()?, &["ls", "latest", top(workspace)?])
    }

    fn prune(&self, workspace: &Workspace<'_>) -> Result<Command> {
        self.command(workspace.first()?, &["prune"])
    }
}

impl Restic {
    fn command(&self, repository: &Repository, arguments: &[&str]) -> Result<Command> {
        let restic = repository.restic()?.by(&self.0);
        Ok(match repository {
            Repository::Directory(_) => restic.command(arguments),
            Repository::Bucket { cache, .. } => {
                // It is set up to have none; what comes later on the command line counts.
                let cached = ["--no-cache=false", "--cache-dir", utf8(cache)?];
                restic.command(&[&cached, arguments].concat())
            }
        })
    }
}

impl Contender for Rustic {
    fn name(&self) -> &'static str {
        "rustic"
    }

    fn version(&self) -> Result<String> {
        let nowhere = Repository::Directory("none".into());
        version_of(&mut nowhere.rustic()?.command(&["--version"]))
    }

    fn on_restic(&self) -> Option<&dyn OnRestic> {
        Some(self)
    }

    fn init(&self, workspace: &Workspace<'_>) -> Result<()> {
        workspace.make_repositories()
    }

    fn backup(&self, workspace: &Workspace<'_>) -> Result<Vec<Command>> {
        // Without `--force` it takes the text for unchanged and does not read it.
        let from_a_pipe = ["backup", "--force", "--stdin-filename", "database.sql", "-"];
        backup(workspace, &from_a_pipe, command_of_rustic)
    }

    fn restore(&self, workspace: &Workspace<'_>, target: &Path) -> Result<Command> {
        let repository = workspace.first()?;
        let Data::Tree(path) = &workspace.subject.data else {
            let from = format!("latest:{}", stored_path(workspace)?);
            return command_of_rustic(repository, &["dump", &from]);
        };
        let from = format!("latest:{}", utf8(path)?);
        command_of_rustic(repository, &["restore", &from, utf8(target)?])
    }
}

impl OnRestic for Rustic {
    fn list(&self, workspace: &Workspace<'_>) -> Result<Command> {
        let from = format!("latest:{}", top(workspace)?);
        command_of_rustic(workspace.first()?, &["ls", &from])
    }

    fn prune(&self, workspace: &Workspace<'_>) -> Result<Command> {
        command_of_rustic(workspace.first()?, &["prune"])
    }
}

fn command_of_rustic(repository: &Repository, arguments: &[&str]) -> Result<Command> {
    let mut command = repository.rustic()?.command(arguments);
    if let Repository::Bucket { cache, .. } = repository {
        command
            .env_remove("RUSTIC_NO_CACHE")
            .env("RUSTIC_CACHE_DIR", cache);
    }
    Ok(command)
}

/// One command for each repository; what is to be backed up is made anew for each.
fn backup(
    workspace: &Workspace<'_>,
    from_a_pipe: &[&str],
    command: impl Fn(&Repository, &[&str]) -> Result<Command>,
) -> Result<Vec<Command>> {
    let mut commands = Vec::new();
    for repository in workspace.repositories {
        match (&workspace.subject.data, producer(&workspace.subject.data)) {
            (Data::Tree(path) | Data::Beside { tree: path, .. }, _) => {
                commands.push(command(repository, &["backup", utf8(path)?])?);
            }
            (Data::Database(Format::Directory, _), Some(dump)) => {
                let directory = workspace.work.join("dump");
                commands.push(dump_into(&dump, directory.as_os_str()));
                commands.push(command(repository, &["backup", utf8(&directory)?])?);
            }
            (_, producer) => {
                let producer = producer.context("a pipe has somebody who fills it")?;
                commands.push(fed_by(&producer, &command(repository, from_a_pipe)?));
            }
        }
    }
    Ok(commands)
}

/// A dump into a directory that may be there from the time before.
pub(super) fn dump_into(dump: &Command, directory: &OsStr) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"rm -rf "$0" && exec "$@" --file="$0""#])
        .arg(directory)
        .arg(dump.get_program())
        .args(dump.get_args());
    shell.envs(
        dump.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell
}

/// The directory that was backed up, as restic and rustic store it.
fn top<'a>(workspace: &'a Workspace<'_>) -> Result<&'a str> {
    match &workspace.subject.data {
        Data::Tree(path) | Data::Beside { tree: path, .. } => utf8(path),
        Data::Pipe(_) | Data::Database(..) => Ok("/"),
    }
}

/// The path of what is in the latest snapshot: its one file, or the directory of a dump.
fn stored_path(workspace: &Workspace<'_>) -> Result<String> {
    if let Data::Database(Format::Directory, _) = workspace.subject.data {
        return Ok(utf8(&workspace.work.join("dump"))?.to_owned());
    }
    let mut files = workspace.first()?.restic()?.files("latest")?;
    files.pop().context("the snapshot has no file")
}
