//! Components that attack their host. Each is ended with an error of its own, within its limits, and what the others store
//! stands.
//!
//! Each test is one attack. The attacks of sinks all run against one backup, and those of sources one after the
//! other in one run, so that they cost little.

mod components;
mod sinks;
mod sources;
mod stores;
mod wasm;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::command::Outcome;
use tthost_tests::files::write_private;
use tthost_tests::plugin;
use tthost_tests::restic::Restic;
use tthost_tests::tthost::Tthost;

const PASSWORD: &str = "password";

/// What an attacker may use: little, so that the tests are quick.
const LIMITS: &str = "memory = \"64 MiB\", cpu-slice = \"1s\", stall-timeout = \"2s\"";

/// The program, an honest source `honest` and an honest sink `safe`, and what a test adds.
struct Attacked {
    tthost: Tthost,
    safe: Restic,
    _directory: TempDir,
}

impl Attacked {
    /// With these tables besides.
    fn new(tables: &str) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-hostile.")
            .tempdir()?;
        let tthost = Tthost::new()?;
        let safe = Restic::at(directory.path().join("safe"), PASSWORD)?;
        safe.init_copy()?;
        let password = directory.path().join("password");
        write_private(&password, PASSWORD)?;
        let text = format!(
            "[sources.honest]\nplugin = {{ path = '{}' }}\nconfig.act = 'keep'\n\
             [sinks.safe]\nplugin = \"restic-sink\"\n\
             grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n\
             grants.secrets.password = {{ file = '{}' }}\n{tables}",
            plugin::component("scripted-source")?.display(),
            safe.repository().display(),
            password.display(),
        );
        fs::write(tthost.home().join("tthost.toml"), text)?;
        Ok(Self {
            tthost,
            safe,
            _directory: directory,
        })
    }
}

/// The table of an attacker, which attacks as its name says.
fn attacker(role: &str, attack: &str, limits: &str) -> Result<String> {
    let mut table = String::new();
    write!(
        table,
        "[{role}.{}]\nplugin = {{ path = '{}' }}\nconfig.attack = '{attack}'\nlimits = {{ {LIMITS}{limits} }}\n",
        name(attack),
        plugin::component("hostile-plugin")?.display()
    )?;
    Ok(table)
}

/// What an attacker is called.
fn name(attack: &str) -> String {
    attack.replace(':', "-")
}

/// What became of all attackers in a run that all tests share.
struct Fates {
    outcome: Outcome,
    /// The message and the help of each, by its name.
    errors: BTreeMap<String, String>,
}

impl Fates {
    /// The run of the first test that asks.
    fn shared(
        cell: &'static OnceLock<Result<Fates, String>>,
        run: impl FnOnce() -> Result<Fates>,
    ) -> Result<&'static Self> {
        let fates = cell.get_or_init(|| run().map_err(|error| format!("{error:#}")));
        fates.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// Fails unless this attacker was ended with these words.
    fn expect(&self, attack: &str, words: &[&str]) -> Result<()> {
        let error = self.errors.get(&name(attack));
        let error =
            error.with_context(|| format!("{attack} went well: {}", self.outcome.describe()))?;
        for word in words {
            ensure!(
                error.contains(word),
                "{attack}: {word:?} is not in {error:?}"
            );
        }
        ensure!(!error.chars().any(char::is_control), "{attack}: {error:?}");
        ensure!(error.len() < 20_000, "{attack}: {} bytes", error.len());
        Ok(())
    }
}

impl Fates {
    /// Fails unless this attacker was ended as one that computes without end. On a busy machine, whoever looks for progress
    /// may be the first to see it.
    fn expect_endless(&self, attack: &str) -> Result<()> {
        let computed = self.expect(attack, &["computed for 1 s", "limits.cpu-slice"]);
        computed.or_else(|_| self.expect(attack, &["no progress for 2s"]))
    }
}

/// The message and the help of an error in a report.
fn told(error: &Value) -> Option<String> {
    let message = error.get("message")?.as_str()?;
    Some(format!(
        "{message} {}",
        error["help"].as_str().unwrap_or("")
    ))
}
