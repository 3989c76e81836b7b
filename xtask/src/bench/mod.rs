//! tthost against restic, rustic and vykar, on the same data, alternating in one run.

mod blobs;
mod contender;
mod growth;
pub(crate) mod measure;
mod random;
mod report;
mod repository;
mod subject;
mod text;
mod tree;
mod warm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;
use tempfile::TempDir;
use tthost_tests::counting::Requests;
use tthost_tests::files;

use crate::{build, setup, shell};
use contender::{Contender, Workspace};
use measure::Cost;
use repository::{Repository, Server};
use subject::{Data, Subject};

/// Where repositories are and directories are restored: in memory, so that no disk's mood counts.
const MEMORY: &str = "/dev/shm";

/// What to measure, and how much.
pub(crate) struct Options {
    /// The names of subjects; all if there are none.
    subjects: Vec<String>,
    /// In place of each subject's own size.
    megabytes: Option<u64>,
    rounds: usize,
    /// In place of Debian's newest.
    restic: Option<PathBuf>,
    /// No package holds it.
    vykar: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut options = Self {
            subjects: Vec::new(),
            megabytes: None,
            rounds: 3,
            restic: None,
            vykar: None,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Value(name) => options.subjects.push(name.string()?),
                Long("size") => options.megabytes = Some(arguments.value()?.parse()?),
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                Long("restic") => options.restic = Some(program(arguments)?),
                Long("vykar") => options.vykar = Some(program(arguments)?),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.subjects.is_empty() {
            let usual = subject::NAMES.iter().filter(|(_, usual)| *usual);
            options.subjects = usual.map(|(name, _)| (*name).to_owned()).collect();
        }
        ensure!(
            options.megabytes != Some(0) && options.rounds > 0,
            "--size and --rounds begin at 1"
        );
        Ok(options)
    }
}

/// The program that an option names.
fn program(arguments: &mut lexopt::Parser) -> Result<PathBuf> {
    let path = PathBuf::from(arguments.value()?);
    fs::canonicalize(&path).with_context(|| format!("there is no {}", path.display()))
}

/// What one contender did in one round.
struct Round {
    contender: usize,
    /// What each of the subject's works took.
    costs: [Cost; 3],
    /// The repository's bytes after the first backup.
    stored: u64,
}

/// Everybody who competes, with what they compete for.
struct Contest<'a> {
    contenders: &'a [&'a dyn Contender],
    subject: &'a Subject,
    server: Option<Server>,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    setup::wasm_target()?;
    setup::debian_packages()?;
    setup::install_released_rustic()?;
    build()?;
    let all = contender::all(options)?;
    let mut tables = Vec::new();
    for name in &options.subjects {
        if name == growth::NAME {
            tables.push(growth::table(&*all[0], options.rounds)?);
            continue;
        }
        let subject = Subject::named(name, options)?;
        let needs_restic = matches!(subject.data, Data::Beside { .. });
        let contenders = all.iter().map(|contender| &**contender);
        let contenders: Vec<_> = contenders
            .filter(|contender| !needs_restic || contender.on_restic().is_some())
            .collect();
        let versions: Vec<_> = contenders
            .iter()
            .map(|contender| contender.version())
            .collect::<Result<_>>()?;
        let contest = Contest {
            contenders: &contenders,
            subject: &subject,
            server: subject.offsite.then(Server::start).transpose()?,
        };
        let counts = contest.counts()?;
        warm::data(&subject.data)?;
        let rounds = contest.rounds(options.rounds)?;
        tables.push(report::table(&versions, &subject, &rounds)?);
        if !counts.is_empty() {
            tables.push(report::requests(&versions, &subject, &counts)?);
        }
    }
    println!("\n{}", tables.join("\n"));
    println!("{}", report::remarks(&all[0].version()?, options));
    Ok(())
}

impl Contest<'_> {
    /// The requests that each contender makes, in a round of their own: in the others nothing but the
    /// contender and the server shall take the processors' time.
    fn counts(&self) -> Result<Vec<[Requests; 3]>> {
        let Some(server) = &self.server else {
            return Ok(Vec::new());
        };
        let title = format!("{}, requests", self.subject.description);
        shell::step(&title, || {
            let counted = self.contenders.iter().map(|contender| {
                let work = new_work()?;
                let (repository, counting) =
                    server.counted_repository(contender.name(), work.path());
                let workspace = self.workspace(work.path(), std::slice::from_ref(&repository));
                let (counted, _) = works(*contender, &workspace, |_, commands| {
                    // What was asked for between the works.
                    counting.take();
                    for mut command in commands {
                        measure::cost(&mut command)?;
                    }
                    Ok(counting.take())
                })?;
                Ok(counted)
            });
            counted.collect()
        })
    }

    fn rounds(&self, count: usize) -> Result<Vec<Round>> {
        let mut rounds = Vec::new();
        for number in 0..count {
            let title = format!(
                "{}, round {} of {count}",
                self.subject.description,
                number + 1
            );
            shell::step(&title, || {
                // Whoever goes first finds the machine in another state: take turns.
                for turn in 0..self.contenders.len() {
                    let index = (number + turn) % self.contenders.len();
                    rounds.push(self.round(number, index)?);
                }
                Ok(())
            })?;
        }
        Ok(rounds)
    }

    fn round(&self, number: usize, index: usize) -> Result<Round> {
        let contender = self.contenders[index];
        let work = new_work()?;
        let repositories: Vec<_> = (0..self.subject.repositories)
            .map(|repository| match &self.server {
                Some(server) => {
                    let prefix = format!("{}-{}", contender.name(), number + 1);
                    server.repository(&prefix, work.path())
                }
                None => Repository::Directory(work.path().join(format!("repository-{repository}"))),
            })
            .collect();
        let room = self.subject.bytes.saturating_mul(2).min(most_memory()?);
        warm::memory(Path::new(MEMORY), room)?;
        let workspace = self.workspace(work.path(), &repositories);
        let (costs, stored) = works(contender, &workspace, |what, commands| {
            measured(contender, self.subject.works()[what], commands)
        })?;
        Ok(Round {
            contender: index,
            costs,
            stored,
        })
    }

    fn workspace<'a>(&'a self, work: &'a Path, repositories: &'a [Repository]) -> Workspace<'a> {
        Workspace {
            subject: self.subject,
            work,
            repositories,
        }
    }
}

/// A third of the memory that is free, in bytes.
fn most_memory() -> Result<u64> {
    let free = nix::sys::sysinfo::sysinfo()?.ram_unused();
    Ok(free / 3)
}

/// An empty directory where commands run.
fn new_work() -> Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("tthost-bench.")
        .tempdir_in(MEMORY)?)
}

/// Does a subject's works with new repositories. Answers what `run` makes of the commands of each,
/// and the first repository's bytes after the first.
fn works<T>(
    contender: &dyn Contender,
    workspace: &Workspace<'_>,
    mut run: impl FnMut(usize, Vec<Command>) -> Result<T>,
) -> Result<([T; 3], u64)> {
    contender.init(workspace)?;
    let mut run = |what: usize, mut commands: Vec<Command>| {
        for command in &mut commands {
            command.current_dir(workspace.work);
        }
        run(what, commands)
    };
    let first = run(0, contender.backup(workspace)?)?;
    let stored = workspace.repositories[0].size()?;
    if let Data::Beside { .. } = workspace.subject.data {
        let contender = contender.on_restic();
        let contender = contender.context("the repository is one of restic's format")?;
        let second = run(1, vec![contender.list(workspace)?])?;
        let third = run(2, vec![contender.prune(workspace)?])?;
        return Ok(([first, second, third], stored));
    }
    let second = run(1, contender.backup(workspace)?)?;
    let target = new_work()?;
    let restored = run(2, vec![contender.restore(workspace, target.path())?])?;
    if let Data::Tree(path) = &workspace.subject.data {
        let (was, is) = (files::size(path)?, files::size(target.path())?);
        ensure!(was == is, "{was} bytes were backed up and {is} restored");
    }
    Ok(([first, second, restored], stored))
}

fn measured(contender: &dyn Contender, what: &str, commands: Vec<Command>) -> Result<Cost> {
    settle()?;
    let mut cost = Cost::default();
    for mut command in commands {
        cost = cost.and(measure::cost(&mut command)?);
    }
    println!(
        "{:8} {:22} {:6.2} s wall {:6.2} s CPU {:5} MB",
        contender.name(),
        what,
        cost.wall,
        cost.cpu,
        cost.peak / 1_000_000
    );
    Ok(cost)
}

/// Waits until the disk has what was written, so that nobody pays for another.
fn settle() -> Result<()> {
    if !Command::new("sync").status()?.success() {
        bail!("sync failed");
    }
    Ok(())
}
