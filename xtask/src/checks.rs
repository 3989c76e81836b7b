//! Everything that must hold before a change lands.

use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow, bail};
use lexopt::prelude::*;
use tthost_tests::{command, plugin};

use crate::compile::{self, Compiled};
use crate::{end, setup, shell, soak};

/// Tests that run at a time. Each waits for a server, a program or a deadline most of the time.
const THREADS: &str = "--test-threads=6";

/// Which of the checks to make.
pub(crate) enum Scope {
    /// All of them.
    All,
    /// The tests inside the crates.
    Unit,
    /// The tests of the built program, all or those whose name holds a text.
    EndToEnd(Option<String>),
    /// The tests that take minutes each, which the others do in short.
    Soak(soak::Options),
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
            format()?;
            // The tools are compiled meanwhile: cargo leaves a core idle now and then, and so do tests.
            let (compiled, unit) = thread::scope(|scope| {
                let tools = scope.spawn(setup::test_tools);
                let checked = compile_and_test();
                tools.join().map_err(|_| anyhow!("a thread panicked"))??;
                checked
            })?;
            licences()?;
            advisories()?;
            // All of them, whichever fail.
            let end_to_end = end_to_end_tests(&compiled, &[], &[]);
            unit.and(end_to_end)?;
            println!("\nEverything holds.");
        }
        Scope::Unit => unit_tests(&compile()?)?,
        Scope::EndToEnd(filter) => {
            setup::test_tools()?;
            end_to_end_tests(&compile()?, filter.as_deref().as_slice(), &[])?;
        }
        Scope::Soak(options) => {
            setup::test_tools()?;
            soak(&compile()?, options)?;
        }
    }
    Ok(())
}

/// Everything that needs no tools. What the unit tests said comes second: whether or not they hold, the
/// end-to-end tests can run.
fn compile_and_test() -> Result<(Compiled, Result<()>)> {
    let compiled = compile()?;
    shell::step(
        "clippy has no warning about the plugins",
        compile::lint_plugins,
    )?;
    let unit = unit_tests(&compiled).and(authors_tests());
    Ok((compiled, unit))
}

fn format() -> Result<()> {
    shell::step("The code is formatted", || {
        shell::run(Command::new(shell::cargo()).args(["fmt", "--all", "--check"]))
    })
}

fn compile() -> Result<Compiled> {
    shell::step("Compile everything; clippy has no warning", || {
        compile::everything()
    })
}

/// What is known of the dependencies by now, where the network gives it.
fn advisories() -> Result<()> {
    shell::step("No dependency has a known vulnerability", || {
        let mut check = Command::new(setup::cargo_deny()?);
        check.args(["--workspace", "check", "advisories"]);
        let outcome = command::run(check.current_dir(shell::root()))?;
        // Each advisory is an error with a name.
        if outcome.stderr.contains("error[") {
            return outcome.success().map(drop);
        }
        if !outcome.status.success() {
            let why = outcome.stderr.lines().next_back().unwrap_or_default();
            println!("NOT CHECKED: the database of advisories cannot be had from here: {why}");
        }
        Ok(())
    })
}

fn licences() -> Result<()> {
    shell::step(
        "All dependencies may be used: licences, bans, sources",
        || {
            shell::run(Command::new(setup::cargo_deny()?).args([
                "--workspace",
                "check",
                "licenses",
                "bans",
                "sources",
            ]))
        },
    )
}

/// What authors of plugins copy: the examples in the SDK's documentation, and the plugins beside the workspace.
fn authors_tests() -> Result<()> {
    shell::step("Tests of what authors of plugins copy", || {
        let mut documentation = Command::new(shell::cargo());
        documentation.args(["test", "--locked", "--doc", "--package", "tthost-plugin"]);
        shell::run(documentation.current_dir(shell::root()))?;
        let mut examples = Command::new(shell::cargo());
        examples
            .args(["test", "--locked", "--target-dir"])
            .arg(shell::root().join("target/examples"));
        shell::run(examples.current_dir(shell::root().join("examples")))
    })
}

fn unit_tests(compiled: &Compiled) -> Result<()> {
    shell::step("Unit tests", || {
        let results: Vec<_> = compiled
            .unit
            .iter()
            .map(|tests| tests.run(&[], &compiled.program, &[]))
            .collect();
        results.into_iter().collect()
    })
}

/// All parts that are meant, whichever fail.
fn soak(compiled: &Compiled, options: &soak::Options) -> Result<()> {
    let environment = options.environment();
    let parsers = if options.feeds_parsers() {
        shell::step("Parsers are fed with what nobody should write", || {
            let arguments = [soak::PARSERS, "--nocapture"];
            let fed = compiled.unit.iter();
            let results: Vec<_> = fed
                .map(|tests| tests.run(&arguments, &compiled.program, &environment))
                .collect();
            results.into_iter().collect()
        })
    } else {
        Ok(())
    };
    let filters = options.end_to_end();
    let end_to_end = if filters.is_empty() {
        Ok(())
    } else {
        let arguments = [&["--ignored"], &filters[..]].concat();
        end_to_end_tests(compiled, &arguments, &environment)
    };
    parsers.and(end_to_end)
}

fn end_to_end_tests(
    compiled: &Compiled,
    filter: &[&str],
    environment: &[(&str, String)],
) -> Result<()> {
    shell::step("Build the test plugins", plugin::build)?;
    shell::step(
        "End-to-end tests: real PostgreSQL, Docker, SeaweedFS, restic and rustic",
        || {
            let options = [&[THREADS], filter].concat();
            compiled
                .end_to_end
                .run(&options, &compiled.program, environment)
        },
    )
}
