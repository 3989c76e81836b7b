//! Running commands in sight of the user.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tthost_tests::command::command_line;

/// The workspace's directory.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The cargo that runs us, so that everything is built by one toolchain.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The steps so far, and what each took.
static STEPS: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());

/// Says what is done, does it, and says how long that took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n=== {what}");
    let start = Instant::now();
    let result = work();
    let time = start.elapsed();
    let end = if result.is_ok() { "done" } else { "FAILED" };
    println!("=== {end} in {:.1} s: {what}", time.as_secs_f64());
    let mut steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    steps.push((what.to_owned(), time));
    result.with_context(|| format!("failed: {what}"))
}

/// Says what each step took since `start`, and all of them together. Steps may have run side by side.
pub(crate) fn print_times(start: Instant) {
    println!("\n=== Time of each step");
    let steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    for (what, time) in steps.iter() {
        println!("{:8.1} s  {what}", time.as_secs_f64());
    }
    println!("{:8.1} s  in all", start.elapsed().as_secs_f64());
}

/// Shows a command, runs it in the workspace's directory unless it has another, and
/// fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    println!("$ {}", command_line(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", command_line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", command_line(command));
    }
    Ok(())
}
