//! Disks that fail, are full, or are slow, below each thing that the program keeps on one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tthost_tests::command::Outcome;
use tthost_tests::faulty_disk::{self, Call, Fate, Kind};
use tthost_tests::soak::{self, Soak};
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::trial::{Operation, Stock, Store, Trial};

use super::expect_honest;

/// How `cargo xtask soak` calls it.
const PART: &str = "disks";

/// Cases of each operation, place and disk.
const MANY: u32 = 20;

/// What a slow disk takes for a call.
const SLOW: Duration = Duration::from_millis(5);

/// As many calls are slow, so that a trial has an end.
const SLOW_CALLS: usize = 400;

/// What is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Repository,
    State,
    Cache,
    Target,
}

/// What is the matter with the disk.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// A call fails: EIO.
    Broken,
    /// From some call on, all of them fail: EIO.
    Dying,
    /// From some call on there is no room: ENOSPC.
    Full,
    /// Every call takes its time.
    Slow,
}

const PLACES: [(Place, &str); 4] = [
    (Place::Repository, "repository"),
    (Place::State, "state"),
    (Place::Cache, "cache"),
    (Place::Target, "target"),
];

const TROUBLES: [(Trouble, &str); 4] = [
    (Trouble::Broken, "broken"),
    (Trouble::Dying, "dying"),
    (Trouble::Full, "full"),
    (Trouble::Slow, "slow"),
];

#[test]
fn a_few_failures_of_disks_lose_nothing() -> Result<()> {
    fail_disks(1, |operation, place, trouble| {
        matches!(
            (operation, place, trouble),
            (Operation::Backup, Place::Repository, Trouble::Full)
                | (Operation::Prune, Place::Repository, Trouble::Dying)
                | (Operation::Copy, Place::State, Trouble::Broken)
                | (Operation::Restore, Place::Target, Trouble::Dying)
        )
    })
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn many_failures_of_disks_lose_nothing() -> Result<()> {
    fail_disks(soak::count(MANY)?, |_, _, _| true)
}

#[test]
fn a_few_full_file_systems_lose_nothing() -> Result<()> {
    fill_up(&[Operation::Backup, Operation::Restore], 1)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn many_full_file_systems_lose_nothing() -> Result<()> {
    fill_up(&Operation::ALL, soak::count(MANY)?)
}

/// Has each disk fail in each way during each of these operations.
fn fail_disks(times: u32, is_wanted: impl Fn(Operation, Place, Trouble) -> bool) -> Result<()> {
    let mut soak = Soak::new(PART)?;
    let stock = Stock::new()?;
    for operation in Operation::ALL {
        for (place, place_name) in PLACES {
            let concerns = place != Place::Target || operation == Operation::Restore;
            for (trouble, trouble_name) in TROUBLES {
                let name = format!("{}-{place_name}-{trouble_name}", operation.name());
                if !concerns || !is_wanted(operation, place, trouble) || !soak.wants(&name) {
                    continue;
                }
                let calls = count_calls(&stock, operation, place, trouble)
                    .with_context(|| format!("{name}: without a fault"))?;
                soak.run(&name, times, |random| {
                    let first = random.usize(..calls);
                    suffer(&stock, operation, place, trouble, first, random)
                        .with_context(|| format!("from call {first} of {calls} on"))
                });
            }
        }
    }
    soak.finish()
}

/// Whether such trouble shows in such a call.
fn is_concerned(trouble: Trouble, call: &Call) -> bool {
    match trouble {
        Trouble::Full => matches!(call.kind, Kind::Write | Kind::Make),
        Trouble::Broken | Trouble::Dying | Trouble::Slow => true,
    }
}

/// A trial, and the directory whose disk is to fail.
fn prepare(stock: &Stock, operation: Operation, place: Place) -> Result<(Trial<'_>, PathBuf)> {
    let mut trial = Trial::new(stock, operation, None)?;
    let below = match place {
        Place::Repository => trial
            .repository()
            .context("it is in a directory")?
            .to_owned(),
        Place::State => trial.state(),
        Place::Target => trial.target().to_owned(),
        Place::Cache => {
            // One of its own, which is empty: what is compiled is stored there.
            let cache = trial.tthost.home().join("cache");
            trial.tthost.set([("TTHOST_CACHE_DIR", &cache)]);
            cache
        }
    };
    Ok((trial, below))
}

/// How many calls there are for this trouble to begin with.
fn count_calls(
    stock: &Stock,
    operation: Operation,
    place: Place,
    trouble: Trouble,
) -> Result<usize> {
    let (trial, below) = prepare(stock, operation, place)?;
    let mut calls = 0;
    run(&trial, &below, |call| {
        calls += usize::from(is_concerned(trouble, call));
        Fate::Pass
    })?
    .success()?;
    trial.expect_done()?;
    ensure!(calls > 0, "the disk was never used");
    Ok(calls)
}

fn run(trial: &Trial<'_>, below: &Path, fate: impl FnMut(&Call) -> Fate + Send) -> Result<Outcome> {
    faulty_disk::run(&mut trial.command(), below, fate)
}

/// One case: trouble that begins with this call.
fn suffer(
    stock: &Stock,
    operation: Operation,
    place: Place,
    trouble: Trouble,
    first: usize,
    random: &mut Rng,
) -> Result<()> {
    let (trial, below) = prepare(stock, operation, place)?;
    let mut calls = 0;
    let mut faults = Vec::new();
    let outcome = run(&trial, &below, |call| {
        if !is_concerned(trouble, call) {
            return Fate::Pass;
        }
        let number = calls;
        calls += 1;
        let fate = match trouble {
            Trouble::Broken if number == first => Fate::Fail(libc::EIO),
            Trouble::Dying if number >= first => Fate::Fail(libc::EIO),
            Trouble::Full if number >= first => Fate::Fail(libc::ENOSPC),
            Trouble::Slow if (first..first + SLOW_CALLS).contains(&number) => Fate::Wait(SLOW),
            _ => return Fate::Pass,
        };
        faults.push(call.clone());
        fate
    })?;
    let told = || {
        let first = faults.first();
        format!(
            "{} faults, the first at {first:?}: {}",
            faults.len(),
            outcome.describe()
        )
    };
    // No two runs make the same calls: one that would have come late may not have come.
    if faults.is_empty() {
        ensure!(outcome.status.success(), "{}", told());
    }
    expect_honest(&trial, &outcome).with_context(told)?;
    trial.expect_sound(random).with_context(told)
}

/// Gives the repository, or what is restored, a file system with little room.
fn fill_up(operations: &[Operation], times: u32) -> Result<()> {
    let mut soak = Soak::new(PART)?;
    let stock = Stock::new()?;
    let taken = tthost_tests::files::size(&stock.repository())?;
    for &operation in operations {
        let name = format!("{}-tmpfs", operation.name());
        soak.run(&name, times, |random| {
            // What is there fits, pages of a file system that are not full included.
            let (least, most) = match operation {
                Operation::Init | Operation::Restore => (64 << 10, 3 << 20),
                _ => (taken + (512 << 10), taken + (3 << 20)),
            };
            let room = random.u64(least..most);
            let tmpfs = Tmpfs::mount(room)?;
            let mut trial = if operation == Operation::Restore {
                Trial::new(&stock, operation, None)?
            } else {
                let store = Store::Directory(tmpfs.path().join("main"));
                Trial::new(&stock, operation, store)?
            };
            if operation == Operation::Restore {
                trial.restore_to(tmpfs.path().join("target"));
            }
            let outcome = trial.run()?;
            let told = || format!("{room} bytes of room: {}", outcome.describe());
            expect_honest(&trial, &outcome).with_context(told)?;
            trial.expect_sound_when_full(random).with_context(told)
        });
    }
    soak.finish()
}
