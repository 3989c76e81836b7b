//! The workspace's own commands. Each does its own set-up, so that a fresh Debian 12
//! machine with rustup needs nothing else.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to whoever builds the workspace"
)]

mod bench;
mod checks;
mod compile;
mod debian;
mod demo;
mod reference;
mod setup;
mod shell;
mod soak;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask COMMAND

  demo                      back up a real database and restore it, step by step
  test [unit | e2e [NAME]]  everything that must hold; or only one half of the tests
  ci                        the same as test
  soak [PART]... [--seed N] [--count N] [--seconds N] [--case NAME]
                            what takes minutes and test does in short: kills, s3-faults,
                            disks, files, python, volumes, fuzz; with so many cases of each name,
                            so many seconds for each parser, or one case alone
  bench [SUBJECT]... [--size MB] [--rounds N] [--restic PATH] [--vykar PATH]
                            tthost against restic, rustic and, where it is named, vykar, 3
                            rounds each: text (1024 MB from a pipe), small (100,000 files),
                            mixed (2048 MB in files); and where they are named: s3 (the text
                            into an S3 server on this machine), custom and directory (dumps
                            of a database), many (1,000,000 files), huge (20 GiB from a
                            pipe), sinks (mixed into 3 repositories)
  reference                 write docs/contract.md anew from wit/
  build                     the program with its plugins, in target/release";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("{cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    let Some(Value(command)) = arguments.next()? else {
        println!("{HELP}");
        return Ok(());
    };
    match command.to_str() {
        Some("build") => {
            end(&mut arguments)?;
            setup::wasm_target()?;
            build()
        }
        Some("reference") => {
            end(&mut arguments)?;
            reference::write()
        }
        Some("demo") => {
            end(&mut arguments)?;
            demo::demo()
        }
        Some("test" | "ci") => timed(&checks::Scope::parse(&mut arguments)?),
        Some("soak") => timed(&checks::Scope::Soak(soak::Options::parse(&mut arguments)?)),
        Some("bench") => bench::bench(&bench::Options::parse(&mut arguments)?),
        Some("measure") => {
            let rest: Vec<OsString> = arguments.raw_args()?.collect();
            let (report, command) = rest
                .split_first()
                .context("measure REPORT PROGRAM ARGUMENTS")?;
            bench::measure::measure(Path::new(report), command)
        }
        _ => bail!("there is no command {}\n\n{HELP}", command.display()),
    }
}

/// Makes checks, and says what each step took.
fn timed(scope: &checks::Scope) -> Result<()> {
    let start = Instant::now();
    let result = checks::test(scope);
    shell::print_times(start);
    result
}

/// Builds the program. Its build script builds the plugins and puts them inside.
fn build() -> Result<()> {
    shell::step("Build tthost and the plugins inside it", || {
        shell::run(Command::new(shell::cargo()).args([
            "build",
            "--release",
            "--locked",
            "-p",
            "tthost",
        ]))
    })
}

fn end(arguments: &mut lexopt::Parser) -> Result<()> {
    match arguments.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(()),
    }
}
