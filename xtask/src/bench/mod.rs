//! tthost against restic and rustic, on the same text, alternating in one run.

mod contender;
pub(crate) mod measure;
mod report;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;
use tthost_tests::{files, rustic};

use crate::{build, setup, shell};
use contender::Contender;
use measure::Cost;

/// How much to measure.
pub(crate) struct Options {
    megabytes: u64,
    rounds: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut options = Self {
            megabytes: 1024,
            rounds: 3,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("size") => options.megabytes = arguments.value()?.parse()?,
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        ensure!(
            options.megabytes > 0 && options.rounds > 0,
            "--size and --rounds begin at 1"
        );
        Ok(options)
    }
}

/// What is measured: the text goes into an empty repository, the same text goes there
/// again, and it comes back.
const WORKS: [&str; 3] = [
    "backup from a pipe",
    "the same again",
    "restore to /dev/null",
];

/// What one contender did in one round.
struct Round {
    contender: usize,
    /// What each of [`WORKS`] took.
    costs: [Cost; 3],
    /// The repository's bytes after the first backup.
    stored: u64,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    setup::wasm_target()?;
    setup::debian_packages()?;
    setup::rustic()?;
    build()?;
    let text = text_file(options.megabytes)?;
    let work = shell::root().join("target/bench");
    let contenders = contender::all(&text)?;
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        shell::step(
            &format!("Round {} of {}", number + 1, options.rounds),
            || {
                // Whoever goes first finds the machine in another state: take turns.
                for turn in 0..contenders.len() {
                    let contender = (number + turn) % contenders.len();
                    if work.exists() {
                        fs::remove_dir_all(&work)?;
                    }
                    fs::create_dir_all(&work)?;
                    rounds.push(round(contender, &contenders[contender], &work)?);
                }
                Ok(())
            },
        )?;
    }
    fs::remove_dir_all(&work)?;
    println!("\n{}", report::markdown(&contenders, &rounds, options)?);
    Ok(())
}

fn round(number: usize, contender: &Contender, work: &Path) -> Result<Round> {
    let repository = work.join("repository");
    contender.init(work, &repository)?;
    let measured = |what: usize, command: &mut Command| -> Result<Cost> {
        settle()?;
        let cost = measure::cost(command.current_dir(work))?;
        println!(
            "{:8} {:22} {:6.2} s wall {:6.2} s CPU {:5} MB",
            contender.name,
            WORKS[what],
            cost.wall,
            cost.cpu,
            cost.peak / 1_000_000
        );
        Ok(cost)
    };
    let first = measured(0, &mut contender.backup(&repository)?)?;
    let stored = files::size(&repository)?;
    let second = measured(1, &mut contender.backup(&repository)?)?;
    let path = contender::stored_path(&repository)?;
    let restore = measured(2, &mut contender.restore(&repository, &path)?)?;
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

/// The text, made once for each size and kept outside the tree.
fn text_file(megabytes: u64) -> Result<PathBuf> {
    let cache = rustic::tools_directory()?.with_file_name("bench");
    let path = cache.join(format!("sql-{megabytes}-mb-v{}.txt", text::VERSION));
    if !path.exists() {
        shell::step(
            &format!(
                "Write {megabytes} MB of SQL-like text to {}",
                path.display()
            ),
            || {
                fs::create_dir_all(&cache)?;
                let unfinished = path.with_extension("unfinished");
                text::write(&unfinished, megabytes << 20)?;
                fs::rename(&unfinished, &path).context("cannot rename the text")
            },
        )?;
    }
    Ok(path)
}
