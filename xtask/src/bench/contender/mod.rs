//! The programs that compete, each set up as its manual says. None has a cache of a repository in
//! a directory; of one in a bucket each has what it keeps by itself.

mod restic;
mod tthost;
mod vykar;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tthost_tests::command;

use super::Options;
use super::repository::Repository;
use super::subject::{Data, Subject};
use crate::{debian, setup};

/// A program that backs up.
pub(crate) trait Contender {
    /// For the table of commands as they run.
    fn name(&self) -> &'static str;

    /// The program's version, asked with its own argument.
    fn version(&self) -> Result<String>;

    /// The same program, if it works on repositories in restic's format.
    fn on_restic(&self) -> Option<&dyn OnRestic>;

    /// Makes the repositories, unless they are copies of one, and what else the commands need in the directory where they
    /// run.
    fn init(&self, workspace: &Workspace<'_>) -> Result<()>;

    /// Backs up, with one command after the other.
    fn backup(&self, workspace: &Workspace<'_>) -> Result<Vec<Command>>;

    /// Restores the latest snapshot of the first repository: a tree into this directory, all else to standard
    /// output where the program can.
    fn restore(&self, workspace: &Workspace<'_>, target: &Path) -> Result<Command>;
}

/// A program that works on repositories in restic's format.
pub(crate) trait OnRestic {
    /// Lists the top of the latest snapshot of the first repository.
    fn list(&self, workspace: &Workspace<'_>) -> Result<Command>;

    /// Frees what no snapshot needs in the first repository.
    fn prune(&self, workspace: &Workspace<'_>) -> Result<Command>;
}

/// What a contender works with.
pub(crate) struct Workspace<'a> {
    pub(crate) subject: &'a Subject,
    /// The directory where all commands run.
    pub(crate) work: &'a Path,
    /// Where it goes.
    pub(crate) repositories: &'a [Repository],
}

impl Workspace<'_> {
    /// Makes the repositories with restic, so that nobody has an advantage from their parameters, or copies one.
    fn make_repositories(&self) -> Result<()> {
        let Data::Beside { repository, .. } = &self.subject.data else {
            let mut repositories = self.repositories.iter();
            return repositories.try_for_each(|repository| repository.restic()?.init());
        };
        let target = self.work.join("repository-0");
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(repository).arg(target);
        command::run(&mut copy)?.success().map(drop)
    }

    fn first(&self) -> Result<&Repository> {
        self.repositories.first().context("there is no repository")
    }
}

/// tthost itself.
pub(crate) fn tthost() -> impl Contender {
    tthost::Tthost
}

/// All that are here; tthost is the first.
pub(crate) fn all(options: &Options) -> Result<Vec<Box<dyn Contender>>> {
    let restic = if let Some(program) = &options.restic {
        program.clone()
    } else {
        let home = setup::newest_restic()?;
        debian::unpack("restic", "sid", &home)?;
        home.join("usr/bin/restic")
    };
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(tthost::Tthost),
        Box::new(restic::Restic(restic)),
        Box::new(restic::Rustic),
    ];
    match &options.vykar {
        Some(program) => contenders.push(Box::new(vykar::Vykar(program.clone()))),
        None => println!(
            "vykar does not compete: build `vykar-cli` from its sources, and name the program with --vykar"
        ),
    }
    Ok(contenders)
}

/// The first two words of what a program says of its version.
fn version_of(command: &mut Command) -> Result<String> {
    let output = command::run(command)?.success()?;
    let words: Vec<&str> = output.text()?.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}

/// A command whose input is the output of another.
fn fed_by(producer: &Command, consumer: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        r#"set -o pipefail; n=$1; "${@:2:n}" | "${@:n+2}""#,
        "bash",
    ]);
    shell.arg((producer.get_args().len() + 1).to_string());
    for command in [producer, consumer] {
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
    }
    shell
}

/// What fills the pipe, for a program that does not start it itself; none for a tree.
fn producer(data: &Data) -> Option<Command> {
    match data {
        Data::Tree(_) | Data::Beside { .. } => None,
        Data::Pipe(argv) => {
            let mut command = Command::new(&argv[0]);
            command.args(&argv[1..]);
            Some(command)
        }
        Data::Database(format, postgres) => {
            let mut dump = postgres.client("pg_dump", Subject::database());
            dump.args([format.argument(), "--compress=0"]);
            Some(dump)
        }
    }
}

/// Arguments as a shell reads them.
fn words<'a>(argv: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = argv
        .into_iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
