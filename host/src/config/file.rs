//! The configuration file, as it is written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Environment, Named};
use crate::error::{Error, Kind, Result};
use crate::plugin::Role;
use crate::retention::Policy;

/// The configuration of tthost.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// What can be backed up, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub sources: Named<Use>,
    /// Where snapshots can be stored, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub sinks: Named<Sink>,
    /// Sets of sources and sinks that are run together.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub jobs: Named<Job>,
    /// How many snapshots are kept.
    pub retention: Retention,
}

/// One use of a plugin.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Use {
    /// The plugin: the name of a bundled one, or a file.
    pub plugin: Plugin,
    /// The plugin's own settings; `tthost plugin inspect` prints their schema.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What the plugin may touch. It starts with nothing.
    #[serde(default)]
    pub grants: Grants,
    /// How much the plugin may use.
    #[serde(default)]
    pub limits: Limits,
}

/// A plugin that snapshots are stored with.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sink {
    /// The plugin: the name of a bundled one, or a file.
    pub plugin: Plugin,
    /// A run without a snapshot here has failed. Otherwise it is incomplete.
    #[serde(default = "yes")]
    pub required: bool,
    /// `run --offsite` stores here too.
    #[serde(default)]
    pub offsite: bool,
    /// The plugin's own settings; `tthost plugin inspect` prints their schema.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What the plugin may touch. It starts with nothing.
    #[serde(default)]
    pub grants: Grants,
    /// How much the plugin may use.
    #[serde(default)]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

impl Sink {
    /// What it has in common with a source.
    pub(super) fn as_use(&self) -> Use {
        Use {
            plugin: self.plugin.clone(),
            config: self.config.clone(),
            grants: self.grants.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// Which component.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a plugin is the name of a bundled one, or { path = \"...\", sha256 = \"...\" }"
)]
pub enum Plugin {
    /// One that ships with tthost.
    Bundled(String),
    /// A file.
    Component(Component),
}

/// A component in a file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Component {
    /// Where it is, relative to the configuration file.
    pub path: PathBuf,
    /// The SHA-256 that its bytes must have, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a plugin may touch.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Grants {
    /// Directories, by the name that the plugin sees.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub directories: Named<Directory>,
    /// Trees of files, by the name that the plugin uses. A backup can read them; a restoration
    /// that you ask for can write to them too.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub trees: Named<Tree>,
    /// Programs, by the name that the plugin uses.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub commands: Named<Command>,
    /// Secrets, by the name that the plugin uses.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub secrets: Named<Value>,
    /// Where it may send HTTP requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Network>,
}

/// A directory with all below it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Directory {
    /// Where it is, relative to the configuration file.
    pub path: PathBuf,
    /// What may be done in it.
    #[serde(default)]
    pub access: Access,
}

/// A tree of files: a directory with all below it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tree {
    /// This directory, relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The Docker volume of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The Docker volume with this label, `key` or `key=value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_label: Option<String>,
    /// The Docker volume whose name matches this pattern, in which `*` stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_pattern: Option<String>,
    /// Take all volumes that match, and not only one.
    #[serde(skip_serializing_if = "is_false")]
    pub many: bool,
    /// What becomes of the containers that use the volume meanwhile; they run on without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
    /// A granted command that is run before the volume is used. When it fails, so does the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A granted command that is run after that, whatever happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What becomes of containers while their volume is used.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Containers {
    /// They are frozen, and go on after that.
    Pause,
    /// They are stopped, and started after that.
    Stop,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What may be done in a directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Look and read.
    #[default]
    ReadOnly,
    /// Also create, change and remove.
    ReadWrite,
}

/// A program that a plugin may run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Command {
    /// The program and its first arguments; the plugin adds to them.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Its environment. Besides these it gets PATH and what it inherits.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub env: Named<Variable>,
    /// Variables that it gets from tthost's own environment where they are set; a `*` at the
    /// end stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit: Vec<String>,
}

/// A place that a plugin may send HTTP requests to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Scheme, host and port, for example `https://s3.example.com:9000`; nothing else is reached.
    pub origin: String,
    /// Allow it to be on this machine or in a private network.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    /// A file of certificates in PEM, relative to the configuration file, that are trusted there
    /// besides the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// What a variable of a program is set to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a variable is a text, or { env = \"...\" }, { file = \"...\" } or { command = [...] }"
)]
pub enum Variable {
    /// This text.
    Text(String),
    /// Something that does not stand in the configuration.
    Value(Value),
}

/// Where a value is that does not stand in the configuration. Exactly one has to be named.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Value {
    /// In this variable of tthost's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// In this file, relative to the configuration file; white space at its ends does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What this program writes; white space at the ends does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// How much a plugin may use.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Memory, for example `512 MiB`; 1 GiB without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// How long it may compute without giving or taking anything, for example `30s`, which it
    /// is without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_slice: Option<String>,
    /// How long it may take for everything, for example `6h`; as long as it needs without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_clock: Option<String>,
    /// How much it may give, for example `100 GiB`; any amount without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How long a sink may make no progress before a run gives it up, for example `30m`; 10
    /// minutes without it. Waiting for the source does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<String>,
}

/// Sources and sinks that are run together.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Job {
    /// What is backed up, each as a snapshot of its own.
    pub sources: Vec<String>,
    /// Where every snapshot goes.
    pub sinks: Vec<String>,
    /// The snapshots' tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The host that the snapshots bear; this machine's name without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// How many snapshots are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Retention {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// The last of so many hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// The last of so many days; 7 without it, or `BACKUP_KEEP_DAILY`.
    pub keep_daily: Option<u32>,
    /// The last of so many weeks; 4 without it, or `BACKUP_KEEP_WEEKLY`.
    pub keep_weekly: Option<u32>,
    /// The last of so many months; 12 without it, or `BACKUP_KEEP_MONTHLY`.
    pub keep_monthly: Option<u32>,
    /// The last of so many years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
}

impl Retention {
    /// Fills in what the file leaves open.
    pub(super) fn apply(&mut self, environment: &Environment) -> Result<()> {
        let or =
            |set: Option<u32>, variable: &str, default: u32| match (set, environment.get(variable))
            {
                (Some(set), _) => Ok(Some(set)),
                (None, None) => Ok(Some(default)),
                (None, Some(text)) => text.parse().map(Some).map_err(|_| {
                    Error::new(
                        Kind::Config,
                        format!("{variable} is \"{text}\", which is no number of snapshots"),
                    )
                }),
            };
        self.keep_daily = or(self.keep_daily, "BACKUP_KEEP_DAILY", 7)?;
        self.keep_weekly = or(self.keep_weekly, "BACKUP_KEEP_WEEKLY", 4)?;
        self.keep_monthly = or(self.keep_monthly, "BACKUP_KEEP_MONTHLY", 12)?;
        Ok(())
    }

    /// The policy that it comes to.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            last: self.keep_last.unwrap_or_default(),
            hourly: self.keep_hourly.unwrap_or_default(),
            daily: self.keep_daily.unwrap_or_default(),
            weekly: self.keep_weekly.unwrap_or_default(),
            monthly: self.keep_monthly.unwrap_or_default(),
            yearly: self.keep_yearly.unwrap_or_default(),
        }
    }
}

impl File {
    /// The names of the sources or the sinks.
    pub(super) fn names(&self, role: Role) -> Vec<&String> {
        match role {
            Role::Source => self.sources.keys().collect(),
            Role::Sink => self.sinks.keys().collect(),
        }
    }

    /// The source or sink of this name.
    pub(super) fn find(&self, role: Role, name: &str) -> Option<Use> {
        match role {
            Role::Source => self.sources.get(name).cloned(),
            Role::Sink => self.sinks.get(name).map(Sink::as_use),
        }
    }

    /// The JSON Schema of the file.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Self);
        serde_json::to_string_pretty(&schema).expect("a schema is JSON")
    }
}
