//! Everything that must hold before a change lands.

use std::process::Command;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::{build, end, setup, shell};

/// Which of the checks to make.
pub(crate) enum Scope {
    /// All of them.
    All,
    /// The tests inside the crates.
    Unit,
    /// The tests of the built program, all or those whose name holds a text.
    EndToEnd(Option<String>),
}

impl Scope {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let scope = match arguments.next()? {
            None => Self::All,
            Some(Value(half)) if half == "unit" => Self::Unit,
            Some(Value(half)) if half == "e2e" => {
                let filter = arguments.next()?.map(|argument| match argument {
                    Value(filter) => Ok(filter.string()?),
                    other => Err(other.unexpected()),
                });
                Self::EndToEnd(filter.transpose()?)
            }
            Some(Value(other)) => bail!("{}: the halves are called unit and e2e", other.display()),
            Some(other) => return Err(other.unexpected().into()),
        };
        end(arguments)?;
        Ok(scope)
    }
}

pub(crate) fn test(scope: &Scope) -> Result<()> {
    setup::wasm_target()?;
    setup::debian_packages()?;
    match scope {
        Scope::All => {
            setup::rustic()?;
            setup::seaweedfs()?;
            format()?;
            licences()?;
            lints()?;
            build()?;
            unit_tests()?;
            end_to_end_tests(None)?;
            println!("\nEverything holds.");
        }
        Scope::Unit => unit_tests()?,
        Scope::EndToEnd(filter) => {
            setup::rustic()?;
            setup::seaweedfs()?;
            build()?;
            end_to_end_tests(filter.as_deref())?;
        }
    }
    Ok(())
}

fn format() -> Result<()> {
    shell::step("The code is formatted", || {
        cargo(&["fmt", "--all", "--check"])
    })
}

/// Advisories are left out: they change while the code does not, and need the network.
fn licences() -> Result<()> {
    let cargo_deny = setup::cargo_deny()?;
    shell::step(
        "All dependencies may be used: licences, bans, sources",
        || {
            shell::run(Command::new(cargo_deny).args([
                "--workspace",
                "check",
                "licenses",
                "bans",
                "sources",
            ]))
        },
    )
}

/// In the release profile like everything else here, so that dependencies' build scripts
/// and the plugins are built once.
fn lints() -> Result<()> {
    shell::step("clippy has no warning", || {
        cargo(&[
            "clippy",
            "--release",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })
}

/// The program's own are built by themselves: then what it depends on has the same features as in
/// the program, and is built once.
fn unit_tests() -> Result<()> {
    // Plugins are tested natively; their own library targets link only for wasm.
    let targets = ["--lib", "--bins", "--tests"];
    let selections: [(&str, &[&str]); 2] = [
        ("Unit tests of the program", &["-p", "tthost"]),
        (
            "Unit tests of everything else",
            &[
                "--workspace",
                "--exclude",
                "tthost-tests",
                "--exclude",
                "tthost",
            ],
        ),
    ];
    selections.iter().try_for_each(|(what, packages)| {
        shell::step(what, || {
            let test = ["test", "--release", "--locked", "--no-fail-fast"];
            cargo(&[&test[..], packages, &targets[..]].concat())
        })
    })
}

fn end_to_end_tests(filter: Option<&str>) -> Result<()> {
    shell::step(
        "End-to-end tests: real PostgreSQL, Docker, SeaweedFS, restic and rustic",
        || {
            let package = [
                "test",
                "--release",
                "--locked",
                "--no-fail-fast",
                "-p",
                "tthost-tests",
            ];
            // Each runs a server and the program; more at a time would only wait for each other.
            let options = ["--", "--test-threads=2"];
            cargo(&[&package[..], &options[..], filter.as_slice()].concat())
        },
    )
}

fn cargo(arguments: &[&str]) -> Result<()> {
    // An error of a test says what happened; the stack adds pages and nothing to that.
    shell::run(
        Command::new(shell::cargo())
            .args(arguments)
            .env("RUST_LIB_BACKTRACE", "0"),
    )
}
