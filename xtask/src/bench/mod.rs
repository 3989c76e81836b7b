//! tthost against restic and rustic, on the same data, alternating in one run.

mod contender;
pub(crate) mod measure;
mod random;
mod report;
mod repository;
mod subject;
mod text;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use lexopt::prelude::*;
use tthost_tests::counting::Requests;
use tthost_tests::files;

use crate::{build, setup, shell};
use contender::Contender;
use measure::Cost;
use repository::{Repository, Server};
use subject::{Form, Subject};

/// What to measure, and how much.
pub(crate) struct Options {
    /// The names of subjects; all if there are none.
    subjects: Vec<String>,
    /// In place of each subject's own size.
    megabytes: Option<u64>,
    rounds: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut options = Self {
            subjects: Vec::new(),
            megabytes: None,
            rounds: 3,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Value(name) => options.subjects.push(name.string()?),
                Long("size") => options.megabytes = Some(arguments.value()?.parse()?),
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.subjects.is_empty() {
            options.subjects = ["text", "small", "mixed"].map(str::to_owned).into();
        }
        ensure!(
            options.megabytes != Some(0) && options.rounds > 0,
            "--size and --rounds begin at 1"
        );
        Ok(options)
    }
}

/// What one contender did in one round.
struct Round {
    contender: usize,
    /// What each of the subject's works took.
    costs: [Cost; 3],
    /// The repository's bytes after the first backup.
    stored: u64,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    setup::wasm_target()?;
    setup::debian_packages()?;
    setup::install_released_rustic()?;
    build()?;
    let contenders = contender::all()?;
    let mut tables = Vec::new();
    for name in &options.subjects {
        let subject = Subject::named(name, options)?;
        let server = subject.offsite.then(Server::start).transpose()?;
        let counts = match &server {
            Some(server) => counts(&contenders, &subject, server)?,
            None => Vec::new(),
        };
        let rounds = rounds(&contenders, &subject, server.as_ref(), options.rounds)?;
        tables.push(report::table(&contenders, &subject, &rounds)?);
        if !counts.is_empty() {
            tables.push(report::requests(&contenders, &subject, &counts)?);
        }
    }
    println!("\n{}", tables.join("\n"));
    println!("{}", report::remarks(&contenders, options));
    Ok(())
}

/// The requests that each contender makes, in a round of their own: in the others nothing but the
/// contender and the server shall take the processors' time.
fn counts(
    contenders: &[Contender],
    subject: &Subject,
    server: &Server,
) -> Result<Vec<[Requests; 3]>> {
    let title = format!("{}, requests", subject.description);
    shell::step(&title, || {
        let counted = contenders.iter().map(|contender| {
            let work = new_work()?;
            let (repository, counting) = server.counted_repository(contender.name, &work);
            let (counted, _) = works(contender, subject, &work, &repository, |_, command| {
                // What was asked for between the works.
                counting.take();
                measure::cost(command)?;
                Ok(counting.take())
            })?;
            Ok(counted)
        });
        counted.collect()
    })
}

fn rounds(
    contenders: &[Contender],
    subject: &Subject,
    server: Option<&Server>,
    count: usize,
) -> Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for number in 0..count {
        let title = format!("{}, round {} of {count}", subject.description, number + 1);
        shell::step(&title, || {
            // Whoever goes first finds the machine in another state: take turns.
            for place in 0..contenders.len() {
                let index = (number + place) % contenders.len();
                let contender = &contenders[index];
                let work = new_work()?;
                let repository = match server {
                    Some(server) => {
                        server.repository(&format!("{}-{}", contender.name, number + 1), &work)
                    }
                    None => Repository::Directory(work.join("repository")),
                };
                let (costs, stored) =
                    works(contender, subject, &work, &repository, |what, command| {
                        measured(contender, subject.works()[what], command)
                    })?;
                rounds.push(Round {
                    contender: index,
                    costs,
                    stored,
                });
            }
            Ok(())
        })?;
    }
    fs::remove_dir_all(new_work()?)?;
    Ok(rounds)
}

/// The directory where commands run, empty.
fn new_work() -> Result<PathBuf> {
    let work = shell::root().join("target/bench");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    Ok(work)
}

/// Does a subject's works with a new repository. Answers what `run` makes of the command of each,
/// and the repository's bytes after the first.
fn works<T>(
    contender: &Contender,
    subject: &Subject,
    work: &Path,
    repository: &Repository,
    mut run: impl FnMut(usize, &mut Command) -> Result<T>,
) -> Result<([T; 3], u64)> {
    contender.init(subject, work, repository)?;
    let mut run = |what: usize, mut command: Command| run(what, command.current_dir(work));
    let first = run(0, contender.backup(subject, repository)?)?;
    let stored = repository.size()?;
    let second = run(1, contender.backup(subject, repository)?)?;
    let restore = match subject.form {
        Form::Pipe => {
            let path = contender::stored_path(repository)?;
            run(2, contender.dump(repository, &path)?)?
        }
        Form::Tree => {
            let target = tempfile::Builder::new()
                .prefix("tthost-bench.")
                .tempdir_in("/dev/shm")?;
            let restore = contender.restore(subject, repository, target.path())?;
            let restored = run(2, restore)?;
            let (was, is) = (files::size(&subject.path)?, files::size(target.path())?);
            ensure!(was == is, "{was} bytes were backed up and {is} restored");
            restored
        }
    };
    Ok(([first, second, restore], stored))
}

fn measured(contender: &Contender, what: &str, command: &mut Command) -> Result<Cost> {
    settle()?;
    let cost = measure::cost(command)?;
    println!(
        "{:8} {:22} {:6.2} s wall {:6.2} s CPU {:5} MB",
        contender.name,
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
