//! Processes that are killed at random points.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tthost_tests::soak::{self, Soak};
use tthost_tests::trial::{Operation, Stock, Store, Trial};

use super::Server;

/// How `cargo xtask soak` calls it.
const PART: &str = "kills";

/// Kills of each operation in each place.
const MANY: u32 = 200;

/// Some kills come after the end of what they are to interrupt, because no two runs take the same time.
const LATEST: f64 = 1.05;

#[test]
fn a_few_kills_of_operations_on_a_directory_lose_nothing() -> Result<()> {
    in_a_directory(&Operation::ALL, 1)
}

#[test]
fn a_few_kills_of_operations_on_s3_lose_nothing() -> Result<()> {
    on_s3(&[Operation::Backup, Operation::Prune], 1)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn many_kills_of_operations_on_a_directory_lose_nothing() -> Result<()> {
    in_a_directory(&Operation::ALL, soak::count(MANY)?)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn many_kills_of_operations_on_s3_lose_nothing() -> Result<()> {
    on_s3(&Operation::ALL, soak::count(MANY)?)
}

fn in_a_directory(operations: &[Operation], times: u32) -> Result<()> {
    kill_each("directory", operations, times, || None)
}

fn on_s3(operations: &[Operation], times: u32) -> Result<()> {
    let server = Server::start()?;
    kill_each("s3", operations, times, || Some(server.place()))
}

/// Kills each of these operations so many times.
fn kill_each<'a>(
    place: &str,
    operations: &[Operation],
    times: u32,
    store: impl Fn() -> Option<Store<'a>>,
) -> Result<()> {
    let mut soak = Soak::new(PART)?;
    let stock = Stock::new()?;
    for &operation in operations {
        let name = format!("{}-{place}", operation.name());
        if !soak.wants(&name) {
            continue;
        }
        let trial = Trial::new(&stock, operation, store())?;
        let start = Instant::now();
        trial.run()?.success()?;
        let whole = start.elapsed();
        trial.expect_done()?;
        let mut ended = 0;
        soak.run(&name, times, |random| {
            let trial = Trial::new(&stock, operation, store())?;
            let delay = whole.mul_f64(random.f64() * LATEST);
            let group = random.bool();
            let killed = run_and_kill(&trial, delay, group)?;
            ended += u32::from(!killed);
            let who = if group { "all of it" } else { "the parent" };
            trial
                .expect_sound(random)
                .with_context(|| format!("{who} killed after {delay:?} of {whole:?}"))
        });
        soak.say(&format!(
            "{name} takes {whole:?}; {ended} had ended before they were killed"
        ));
    }
    soak.finish()
}

/// Runs the operation and kills it after this time, alone or with all that it started. Answers whether it was still there.
fn run_and_kill(trial: &Trial<'_>, delay: Duration, group: bool) -> Result<bool> {
    let mut command = trial.command();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    sleep(delay);
    let is_there = child.try_wait()?.is_none();
    if is_there && group {
        killpg(pid, Signal::SIGKILL)?;
    } else if is_there {
        kill(pid, Signal::SIGKILL)?;
    }
    child.wait()?;
    Ok(is_there)
}
