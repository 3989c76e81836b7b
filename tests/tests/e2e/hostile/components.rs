//! Files that are hostile before they run, or while they start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::plugin;
use tthost_tests::tthost::Tthost;

use super::wasm::{component, module, number, section, started};
use super::{Attacked, LIMITS};

/// Longer than any of them may take, on a busy machine too.
const LONG: Duration = Duration::from_mins(1);

/// The program, and a place for a file.
struct Inspected {
    tthost: Tthost,
    directory: TempDir,
}

impl Inspected {
    fn new() -> Result<Self> {
        Ok(Self {
            tthost: Tthost::new()?,
            directory: tempfile::tempdir()?,
        })
    }

    /// Fails unless inspecting these bytes ends soon, with these words.
    fn expect(&self, bytes: &[u8], words: &[&str]) -> Result<()> {
        let path = self.path();
        fs::write(&path, bytes)?;
        self.expect_of(&path, words)
    }

    fn expect_of(&self, path: &Path, words: &[&str]) -> Result<()> {
        let start = Instant::now();
        let inspect = ["plugin", "inspect", &path.to_string_lossy()];
        self.tthost.fails(&inspect, 1, words)?;
        let took = start.elapsed();
        ensure!(took < LONG, "{} took {took:?}", path.display());
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("hostile.wasm")
    }
}

#[test]
fn what_is_no_component_is_not_run() -> Result<()> {
    let inspected = Inspected::new()?;
    let random: Vec<u8> = (0_u32..25_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for bytes in [
        &b""[..],
        b"\0asm",
        b"#!/bin/sh\necho owned\n",
        &random,
        &module(&[]),
    ] {
        inspected.expect(bytes, &["is not a component that can be run"])?;
    }
    Ok(())
}

#[test]
fn what_never_ends_or_never_begins_is_no_plugin() -> Result<()> {
    let inspected = Inspected::new()?;
    command::run(Command::new("mkfifo").arg(inspected.path()))?.success()?;
    inspected.expect_of(&inspected.path(), &["is not a plugin"])?;
    inspected.expect_of(Path::new("/dev/zero"), &["is not a plugin"])?;
    inspected.expect_of(inspected.directory.path(), &["is not a plugin"])?;
    let large = inspected.directory.path().join("large");
    fs::File::create(&large)?.set_len(100 << 20)?;
    inspected.expect_of(&large, &["larger than 64 MiB"])
}

#[test]
fn a_loop_at_its_start_ends() -> Result<()> {
    let endless = started(0, &[0x03, 0x40, 0x0c, 0, 0x0b]);
    Inspected::new()?.expect(&component(&endless, 1), &["computed for 10 s"])
}

#[test]
fn a_component_that_computes_little_may_take_long_on_a_machine_without_time() -> Result<()> {
    // Counts up to 2^32 when it starts: some seconds of computing.
    let mut body = vec![0x03, 0x40, 0x20, 0, 0x42, 1, 0x7c, 0x22, 0, 0x42];
    body.extend(number(1 << 32));
    body.extend([0x54, 0x0d, 0, 0x0b]);
    let inspected = Inspected::new()?;
    fs::write(inspected.path(), component(&started(1, &body), 1))?;
    let path = inspected.path().display().to_string();
    let mut command = inspected.tthost.command(&["plugin", "inspect", &path]);
    let inspecting = command.stderr(Stdio::piped()).spawn()?;
    let process = Pid::from_child(&inspecting);
    sleep(Duration::from_millis(500));
    kill_process(process, Signal::STOP)?;
    // Longer than it may compute.
    sleep(Duration::from_secs(11));
    kill_process(process, Signal::CONT)?;
    let ended = inspecting.wait_with_output()?;
    let said = String::from_utf8(ended.stderr)?;
    ensure!(said.contains("it is a component, and no plugin"), "{said}");
    Ok(())
}

#[test]
fn memory_and_tables_of_absurd_size_are_not_made() -> Result<()> {
    let inspected = Inspected::new()?;
    // 4 GiB.
    let memory = [&[1, 0][..], &number(65_536)].concat();
    inspected.expect(
        &component(&module(&[section(5, &memory)]), 1),
        &["limit of 1024 MiB"],
    )?;
    let table = [&[1, 0x70, 0][..], &number(200_000_000)].concat();
    inspected.expect(
        &component(&module(&[section(4, &table)]), 1),
        &["limit of 1024 MiB"],
    )
}

#[test]
fn instances_and_memories_without_number_are_not_made() -> Result<()> {
    let inspected = Inspected::new()?;
    let small = module(&[section(5, &[1, 0, 1])]);
    inspected.expect(&component(&small, 900), &["the plugin failed"])?;
    inspected.expect(&component(&module(&[]), 900), &["the plugin failed"])
}

#[test]
fn a_component_that_takes_far_too_much_to_compile_is_given_up() -> Result<()> {
    // After each of these branches, all that may have been set before comes from one of two places.
    const LOCALS: u64 = 2000;
    let mut body = Vec::new();
    for branch in 0..20_000 {
        body.extend([0x41, 0, 0x04, 0x40, 0x42, 1, 0x21]);
        body.extend(number(branch % LOCALS));
        body.push(0x0b);
    }
    for local in 0..LOCALS {
        body.push(0x20);
        body.extend(number(local));
        body.push(0x1a);
    }
    let bomb = component(&started(LOCALS, &body), 1);
    ensure!(bomb.len() < 300_000);
    Inspected::new()?.expect(&bomb, &["compiling it takes more than"])
}

/// A plugin that has this schema of its configuration.
fn with_schema(schema: &str) -> Result<Vec<u8>> {
    const OWN: &[u8] = br#"{"additionalProperties": true}"#;
    let mut bytes = fs::read(plugin::component("hostile-plugin")?)?;
    let at = bytes.windows(OWN.len()).position(|bytes| bytes == OWN);
    let room = &mut bytes[at.context("it has a schema")?..][..4096];
    ensure!(schema.len() <= room.len(), "{} bytes", schema.len());
    room.fill(b' ');
    room[..schema.len()].copy_from_slice(schema.as_bytes());
    Ok(bytes)
}

/// A schema that is looked at twice as often with each of its definitions.
fn doubling() -> String {
    let definitions = (0..40).map(|number| {
        let next = number + 1;
        format!(
            r##""{number}":{{"allOf":[{{"$ref":"#/$defs/{next}"}},{{"$ref":"#/$defs/{next}"}}]}}"##
        )
    });
    let definitions: Vec<_> = definitions.collect();
    let definitions = definitions.join(",");
    format!(r##"{{"$ref":"#/$defs/0","$defs":{{{definitions},"40":{{"type":"object"}}}}}}"##)
}

#[test]
fn a_schema_that_takes_far_too_long_stops_the_sink_alone() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("doubling.wasm");
    fs::write(&path, with_schema(&doubling())?)?;
    let table = format!(
        "[sinks.doubling]\nplugin = {{ path = '{}' }}\nconfig.attack = 'none'\nlimits = {{ {LIMITS} }}\n",
        path.display()
    );
    let attacked = Attacked::new(&table)?;
    let run = [
        "run", "--source", "honest", "--sink", "safe", "--sink", "doubling",
    ];
    let start = Instant::now();
    let words = ["sink doubling", "judging its config-schema takes more than"];
    attacked.tthost.fails(&run, 1, &words)?;
    ensure!(start.elapsed() < LONG, "{:?}", start.elapsed());
    ensure!(attacked.safe.snapshots()?.len() == 1);
    Ok(())
}

#[test]
fn a_file_that_is_swapped_while_it_is_loaded_is_never_run_for_the_pinned_one() -> Result<()> {
    let inspected = Inspected::new()?;
    let pinned = with_schema("{}")?;
    // Whoever runs this one says so.
    let other = with_schema(r#"{"required": ["swapped"]}"#)?;
    let text = format!(
        "[sources.pinned]\nplugin = {{ path = '{}', sha256 = \"{}\" }}\n",
        inspected.path().display(),
        hex::encode(Sha256::digest(&pinned)),
    );
    fs::write(inspected.tthost.home().join("tthost.toml"), text)?;
    fs::write(inspected.path(), &pinned)?;
    let is_over = AtomicBool::new(false);
    let swap = || -> Result<()> {
        let aside = inspected.directory.path().join("aside");
        for bytes in [&other, &pinned].into_iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            fs::write(&aside, bytes)?;
            fs::rename(&aside, inspected.path())?;
            sleep(Duration::from_millis(2));
        }
        Ok(())
    };
    let check = || -> Result<()> {
        for _ in 0..5 {
            let outcome = inspected.tthost.run(&["config", "check"])?;
            let is_refused = outcome.stderr.contains("is not the pinned file");
            let is_right = outcome.status.success() || is_refused;
            ensure!(
                is_right && !outcome.stderr.contains("swapped"),
                "{}",
                outcome.describe()
            );
        }
        Ok(())
    };
    thread::scope(|scope| {
        let swapping = scope.spawn(swap);
        let checked = check();
        is_over.store(true, Ordering::Relaxed);
        swapping.join().expect("it does not panic")?;
        checked
    })
}
