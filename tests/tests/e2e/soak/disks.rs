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

/// Cases of each operation, disk and fault.
const MANY: u32 = 20;

/// What a slow disk takes for a call.
const SLOW: Duration = Duration::from_millis(5);

/// As many calls are slow, so that a trial has an end.
const SLOW_CALLS: usize = 400;

/// The disk that fails, by the directory that is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Repository,
    State,
    Cache,
    Target,
}

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A call fails: EIO.
    Broken,
    /// From some call on, all of them fail: EIO.
    Dying,
    /// From some call on there is no room: ENOSPC.
    Full,
    /// Every call takes its time.
    Slow,
}

const DISKS: [(Disk, &str); 4] = [
    (Disk::Repository, "repository"),
    (Disk::State, "state"),
    (Disk::Cache, "cache"),
    (Disk::Target, "target"),
];

const FAULTS: [(Fault, &str); 4] = [
    (Fault::Broken, "broken"),
    (Fault::Dying, "dying"),
    (Fault::Full, "full"),
    (Fault::Slow, "slow"),
];

#[test]
fn a_few_failures_of_disks_lose_nothing() -> Result<()> {
    fail_disks(1, |operation, disk, fault| {
        matches!(
            (operation, disk, fault),
            (Operation::Backup, Disk::Repository, Fault::Full)
                | (Operation::Prune, Disk::Repository, Fault::Dying)
                | (Operation::Copy, Disk::State, Fault::Broken)
                | (Operation::Restore, Disk::Target, Fault::Dying)
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
fn fail_disks(times: u32, is_wanted: impl Fn(Operation, Disk, Fault) -> bool) -> Result<()> {
    let mut soak = Soak::new(PART)?;
    let stock = Stock::new()?;
    for operation in Operation::ALL {
        for (disk, disk_name) in DISKS {
            let concerns = disk != Disk::Target || operation == Operation::Restore;
            for (fault, fault_name) in FAULTS {
                let name = format!("{}-{disk_name}-{fault_name}", operation.name());
                if !concerns || !is_wanted(operation, disk, fault) || !soak.wants(&name) {
                    continue;
                }
                let calls = count_calls(&stock, operation, disk, fault)
                    .with_context(|| format!("{name}: without a fault"))?;
                soak.run(&name, times, |random| {
                    let first = random.usize(..calls);
                    run_case(&stock, operation, disk, fault, first, random)
                        .with_context(|| format!("from call {first} of {calls} on"))
                });
            }
        }
    }
    soak.finish()
}

/// Whether this fault affects this call.
fn is_affected(fault: Fault, call: &Call) -> bool {
    match fault {
        Fault::Full => matches!(call.kind, Kind::Write | Kind::Make),
        Fault::Broken | Fault::Dying | Fault::Slow => true,
    }
}

/// A trial, and the directory whose disk is to fail.
fn prepare(stock: &Stock, operation: Operation, disk: Disk) -> Result<(Trial<'_>, PathBuf)> {
    let mut trial = Trial::new(stock, operation, None)?;
    let below = match disk {
        Disk::Repository => trial
            .repository()
            .context("it is in a directory")?
            .to_owned(),
        Disk::State => trial.state(),
        Disk::Target => trial.target().to_owned(),
        Disk::Cache => {
            // One of its own, which is empty: what is compiled is stored there.
            let cache = trial.tthost.home().join("cache");
            trial.tthost.set([("TTHOST_CACHE_DIR", &cache)]);
            cache
        }
    };
    Ok((trial, below))
}

/// The number of calls that this fault affects.
fn count_calls(stock: &Stock, operation: Operation, disk: Disk, fault: Fault) -> Result<usize> {
    let (trial, below) = prepare(stock, operation, disk)?;
    let mut calls = 0;
    run(&trial, &below, |call| {
        calls += usize::from(is_affected(fault, call));
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

/// One case: a fault that begins with this call.
fn run_case(
    stock: &Stock,
    operation: Operation,
    disk: Disk,
    fault: Fault,
    first: usize,
    random: &mut Rng,
) -> Result<()> {
    let (trial, below) = prepare(stock, operation, disk)?;
    let mut calls = 0;
    let mut faults = Vec::new();
    let outcome = run(&trial, &below, |call| {
        if !is_affected(fault, call) {
            return Fate::Pass;
        }
        let number = calls;
        calls += 1;
        let fate = match fault {
            Fault::Broken if number == first => Fate::Fail(libc::EIO),
            Fault::Dying if number >= first => Fate::Fail(libc::EIO),
            Fault::Full if number >= first => Fate::Fail(libc::ENOSPC),
            Fault::Slow if (first..first + SLOW_CALLS).contains(&number) => Fate::Wait(SLOW),
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
