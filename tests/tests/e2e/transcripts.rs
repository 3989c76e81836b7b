//! What each command prints, in a pipe and on a terminal. `UPDATE_EXPECT=1` writes the files anew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use expect_test::expect_file;
use tempfile::TempDir;
use tthost_tests::files::write_private;
use tthost_tests::fixture::PASSWORD;
use tthost_tests::restic::Restic;
use tthost_tests::transcript::Transcript;
use tthost_tests::tthost::Tthost;

/// A directory that is a source, and two repositories.
struct Site {
    directory: TempDir,
    tthost: Tthost,
    transcript: Transcript,
}

impl Site {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-site.").tempdir()?;
        let tthost = Tthost::new()?;
        let mut transcript = Transcript::default();
        let program = tthost.program().parent().context("it is in a directory")?;
        let path = env::var("PATH")?;
        for (text, name) in [
            (directory.path().to_string_lossy(), "/srv"),
            (tthost.home().to_string_lossy(), "~"),
            (program.to_string_lossy(), "/usr/bin"),
            (path.into(), "/usr/bin:/bin"),
        ] {
            transcript.name(&text, name);
        }
        let site = Self {
            directory,
            tthost,
            transcript,
        };
        fs::create_dir_all(site.path("www/photos"))?;
        fs::write(site.path("www/index"), "an index\n")?;
        fs::write(site.path("www/photos/one"), vec![7; 100_000])?;
        write_private(&site.path("password"), PASSWORD)?;
        for name in ["local", "second"] {
            Restic::at(site.path(name), PASSWORD)?.init_copy()?;
        }
        let sink = |name: &str, repository: &str| {
            format!(
                "[sinks.{name}]\nplugin = \"restic-sink\"\n\
                 grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n\
                 grants.secrets.password = {{ file = '{}' }}\n",
                site.path(repository).display(),
                site.path("password").display(),
            )
        };
        let text = format!(
            "[sources.www]\nplugin = \"volume-source\"\nhost = \"server\"\n\
             grants.trees.files = {{ path = '{}', stored-as = \"/www\" }}\n{}{}{}\
             [jobs.full]\nsources = [\"www\"]\nsinks = [\"restic-local\"]\n",
            site.path("www").display(),
            sink("restic-local", "local"),
            sink("second", "second"),
            sink("nowhere", "nowhere"),
        );
        fs::write(site.tthost.home().join("tthost.toml"), text)?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&mut self, lines: &[&str]) -> Result<()> {
        for line in lines {
            let arguments: Vec<_> = line.split_whitespace().collect();
            self.transcript.run(&self.tthost, &arguments)?;
        }
        Ok(())
    }
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() -> Result<()> {
    let mut site = Site::new()?;
    site.run(&[
        "",
        "snapshot",
        "rewrite",
        "recover",
        "ls-files",
        "mount",
        "backup --dry-runn",
        "list --json --since yesterday",
        "restore latest --to",
        "run --source www --sink nosuch",
        "run --job nightly",
        "--config nosuch.toml list",
    ])?;
    expect_file!["transcripts/wrong-words.txt"].assert_eq(site.transcript.text());
    Ok(())
}

#[test]
fn backups_and_restorations_are_told_of() -> Result<()> {
    let mut site = Site::new()?;
    site.run(&[
        "status",
        "history",
        "list",
        "backup",
        "run --source www --sink restic-local --dry-run",
        "backup list",
        "snapshots --latest 1 --compact",
        "ls latest",
        "ls latest -l --recursive",
        "ls nosuch",
        "dump latest www/index",
        "dump latest index",
        "copy --from restic-local --to second",
        "restore latest",
        "restore latest --to copy --dry-run",
        "restore latest --to copy",
        "drill",
        "drill --sink nowhere",
        "status",
        "history",
        "logs 1",
        "logs 99",
    ])?;
    let restore = ["restore", "latest", "--source", "www", "--delete"];
    let transcript = &mut site.transcript;
    transcript.run_and_answer(&site.tthost, &restore, "n\n")?;
    transcript.run_and_answer(&site.tthost, &restore, "y\n")?;
    expect_file!["transcripts/backups.txt"].assert_eq(site.transcript.text());
    Ok(())
}

#[test]
fn work_on_repositories_is_told_of() -> Result<()> {
    let mut site = Site::new()?;
    for _ in 0..3 {
        site.tthost.ok(&["backup", "--quiet"])?;
    }
    site.run(&[
        "check",
        "verify --read-data",
        "backup verify",
        "forget latest --dry-run",
        "forget --keep-last 2",
        "prune --keep-last 2 --dry-run",
        "backup prune --keep-last 1",
        "unlock",
        "probe restic-local",
        "init --sink restic-local",
        "check --sink nowhere",
        "backup full --quiet",
        "check --sink nowhere --json",
    ])?;
    write_private(&site.path("password"), "wrong")?;
    site.run(&["list", "backup"])?;
    expect_file!["transcripts/repositories.txt"].assert_eq(site.transcript.text());
    Ok(())
}

#[test]
fn settings_and_plugins_are_told_of() -> Result<()> {
    let mut site = Site::new()?;
    site.run(&[
        "--version",
        "config check",
        "config show",
        "plugin list",
        "plugin inspect www",
        "plugin add nosuch.wasm",
        "plugin add nosuch.wasm --yes",
        "plugin update www",
        "plugin verify",
        "plugin remove www",
        "plugin new My_Source --kind source --sdk .",
        "plugin new my-source --kind source --sdk .",
        "plugin dev nosuch --once",
        "plugin push nosuch.wasm oci://registry.example.com/sink:1",
        "plugin test restic-local --check identity-stays --check no-secret-is-stored",
        "schedule status",
        "schedule install --scheduler crontab --dry-run",
        "auto --disable",
        "backup auto --disable",
        "schedule run nosuch",
        "schedule remove nosuch",
        "notify test",
        "daemon --config nosuch.toml",
        "completions tcsh",
    ])?;
    expect_file!["transcripts/settings.txt"].assert_eq(site.transcript.text());
    Ok(())
}

/// Commands whose output no transcript holds: a schema, which other tests compare, and what `--help` prints. Of `daemon` and
/// `completions`, only a failure is held: one runs until it is stopped, the other prints a script of clap's.
const ELSEWHERE: [&str; 2] = ["config schema", "help"];

#[test]
fn each_command_has_a_transcript() -> Result<()> {
    let tthost = Tthost::new()?;
    let files = ["backups", "repositories", "settings"];
    let mut told = Vec::new();
    for file in files {
        let path = format!(
            "{}/tests/e2e/transcripts/{file}.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = fs::read_to_string(path)?;
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("$ tthost "));
        told.extend(lines.map(|line| format!("{line} ")));
    }
    let mut missing = BTreeSet::new();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let path: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = tthost.ok(&[&path[..], &["--help"]].concat())?;
        let Some((_, list)) = help.text()?.split_once("Commands:\n") else {
            continue;
        };
        let list = list.split("\n\n").next().context("it is empty")?;
        for name in list.lines().filter_map(|line| line.strip_prefix("  ")) {
            let Some(name) = name.split(' ').next().filter(|name| !name.is_empty()) else {
                continue;
            };
            let command = [&path[..], &[name]].concat().join(" ");
            if ELSEWHERE.iter().any(|other| command.ends_with(other)) {
                continue;
            }
            let whole = format!("{command} ");
            if !told.iter().any(|line| line.starts_with(&whole)) {
                missing.insert(command);
            }
            waiting.push(words.iter().cloned().chain([name.to_owned()]).collect());
        }
    }
    ensure!(missing.is_empty(), "no transcript has {missing:?}");
    Ok(())
}
