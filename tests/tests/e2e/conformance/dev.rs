//! `tthost plugin dev`: a project that is built and tested, and again when it changes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::plugin;
use tthost_tests::tthost::Tthost;

use super::{names, reference_sink, token};

/// A project whose script has nothing to compile: it takes the reference as it is.
struct Project {
    tthost: Tthost,
    directory: PathBuf,
}

impl Project {
    fn new() -> Result<Self> {
        let tthost = Tthost::new()?;
        let directory = tthost.home().join("project");
        fs::create_dir(&directory)?;
        let project = Self { tthost, directory };
        let component = plugin::component("reference-sink")?;
        project.script(&format!("cp '{}' plugin.wasm", component.display()))?;
        project.have("")?;
        Ok(project)
    }

    fn script(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.directory.join("build.sh"), text)?)
    }

    /// The configuration gives the plugin this fault.
    fn have(&self, fault: &str) -> Result<()> {
        let token = token(self.tthost.home())?;
        let made = self.directory.join("plugin.wasm");
        let configuration = reference_sink(&made, &token, fault);
        let path = self.tthost.home().join("tthost.toml");
        Ok(fs::write(path, configuration)?)
    }
}

#[test]
fn where_a_plugin_breaks_down_is_told_with_what_it_said_and_its_last_calls() -> Result<()> {
    let project = Project::new()?;
    project.have("damage-traps")?;
    let check = "a-flipped-byte-is-found";
    let dev = ["plugin", "dev", "project", "--once", "--check", check];
    let outcome = project.tthost.run(&[&dev[..], &["--trace"]].concat())?;
    ensure!(outcome.status.code() == Some(1), "{}", outcome.describe());
    for words in [
        &format!("{check}: FAILED") as &str,
        "wasm backtrace:",
        "::store::",
        "::contents",
        "contents are damaged",
        "check(Data(",
        "0 passed, 1 failed",
    ] {
        ensure!(outcome.text()?.contains(words), "{}", outcome.describe());
    }
    // Every call is told as well, with what it carried, and none of the secrets.
    for words in ["offer(8 entries) -> 5 files in ", "host secrets.get in "] {
        ensure!(outcome.stderr.contains(words), "{}", outcome.describe());
    }
    ensure!(!outcome.stderr.contains("quite-a-secret"));

    let report = project
        .tthost
        .run(&[&dev[..], &["--json"]].concat())?
        .json()?;
    ensure!(names(&report, "failed")? == [check], "{report:#}");
    let calls = report["failures"][0]["calls"].as_array();
    ensure!(calls.is_some_and(|calls| !calls.is_empty()), "{report:#}");
    Ok(())
}

#[test]
fn a_project_is_built_and_tested_again_when_a_file_of_it_changes() -> Result<()> {
    let project = Project::new()?;
    let dev = [
        "plugin",
        "dev",
        "project",
        "--check",
        "create-makes-a-store",
    ];
    let mut running = project.tthost.command(&dev);
    let mut running = running
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = running.stdout.take().context("it has an output")?;
    let mut lines = BufReader::new(output).lines();
    let mut next = || -> Result<String> {
        let mut text = String::new();
        loop {
            let line = lines.next().context("it has ended")??;
            if line.starts_with("waiting for a change") {
                return Ok(text);
            }
            text += &line;
        }
    };
    let first = next()?;
    ensure!(first.contains("1 passed, 0 failed"), "{first}");
    // A build that fails is told, and the next change is waited for.
    project.script("echo 'no such compiler' >&2; exit 7")?;
    let second = next()?;
    ensure!(second.is_empty(), "{second}");
    let component = plugin::component("scripted-source")?;
    project.script(&format!("cp '{}' plugin.wasm", component.display()))?;
    let third = next()?;
    ensure!(third.contains("0 passed, 1 failed"), "{third}");
    running.kill()?;
    running.wait()?;
    Ok(())
}

#[test]
fn a_project_that_cannot_be_built_fails_with_what_its_tools_say() -> Result<()> {
    let project = Project::new()?;
    let once = ["plugin", "dev", "project", "--once"];
    project.script("printf 'no such \\033[2Jcompiler\\n' >&2; exit 7")?;
    let failed = project
        .tthost
        .fails(&once, 1, &["no such", "compiler", "exit status: 7"])?;
    ensure!(!failed.stderr.contains('\u{1b}'), "{}", failed.describe());
    project.script("true")?;
    project
        .tthost
        .fails(&once, 1, &["build.sh made no plugin.wasm"])?;
    fs::remove_file(project.directory.join("build.sh"))?;
    project.tthost.fails(
        &once,
        1,
        &["not a project of a plugin", "tthost plugin new"],
    )?;
    Ok(())
}
