//! tthost against restic and rustic, on the same data, alternating in one run.

mod contender;
pub(crate) mod measure;
mod random;
mod report;
mod subject;
mod text;
mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};
use lexopt::prelude::*;
use tthost_tests::files;

use crate::{build, setup, shell};
use contender::Contender;
use measure::Cost;
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
    setup::rustic()?;
    build()?;
    let contenders = contender::all()?;
    let mut tables = Vec::new();
    for name in &options.subjects {
        let subject = Subject::named(name, options)?;
        let rounds = rounds(&contenders, &subject, options.rounds)?;
        tables.push(report::table(&contenders, &subject, &rounds)?);
    }
    println!("\n{}", tables.join("\n"));
    println!("{}", report::remarks(&contenders, options));
    Ok(())
}

fn rounds(contenders: &[Contender], subject: &Subject, count: usize) -> Result<Vec<Round>> {
    let work = shell::root().join("target/bench");
    let mut rounds = Vec::new();
    for number in 0..count {
        let title = format!("{}, round {} of {count}", subject.description, number + 1);
        shell::step(&title, || {
            // Whoever goes first finds the machine in another state: take turns.
            for turn in 0..contenders.len() {
                let contender = (number + turn) % contenders.len();
                if work.exists() {
                    fs::remove_dir_all(&work)?;
                }
                fs::create_dir_all(&work)?;
                rounds.push(round(contender, &contenders[contender], subject, &work)?);
            }
            Ok(())
        })?;
    }
    fs::remove_dir_all(&work)?;
    Ok(rounds)
}

fn round(number: usize, contender: &Contender, subject: &Subject, work: &Path) -> Result<Round> {
    let repository = work.join("repository");
    contender.init(subject, work, &repository)?;
    let measured = |what: usize, command: &mut Command| -> Result<Cost> {
        settle()?;
        let cost = measure::cost(command.current_dir(work))?;
        println!(
            "{:8} {:22} {:6.2} s wall {:6.2} s CPU {:5} MB",
            contender.name,
            subject.works()[what],
            cost.wall,
            cost.cpu,
            cost.peak / 1_000_000
        );
        Ok(cost)
    };
    let first = measured(0, &mut contender.backup(subject, &repository)?)?;
    let stored = files::size(&repository)?;
    let second = measured(1, &mut contender.backup(subject, &repository)?)?;
    let restore = match subject.form {
        Form::Pipe => {
            let path = contender::stored_path(&repository)?;
            measured(2, &mut contender.dump(&repository, &path)?)?
        }
        Form::Tree => {
            let target = tempfile::Builder::new()
                .prefix("tthost-bench.")
                .tempdir_in("/dev/shm")?;
            let restore = &mut contender.restore(subject, &repository, target.path())?;
            let cost = measured(2, restore)?;
            let (was, is) = (files::size(&subject.path)?, files::size(target.path())?);
            ensure!(was == is, "{was} bytes were backed up and {is} restored");
            cost
        }
    };
    Ok(Round {
        contender: number,
        costs: [first, second, restore],
        stored,
    })
}

/// Waits until the disk has what was written, so that nobody pays for another.
fn settle() -> Result<()> {
    if !Command::new("sync").status()?.success() {
        bail!("sync failed");
    }
    Ok(())
}
