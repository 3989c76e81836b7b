//! The configuration file, as it is parsed.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;
use super::alert::Alert;
use super::retention::Retention;
use crate::plugin::Role;

/// The configuration of tthost.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// A file of environment variables, as `docker compose` reads its `.env`, relative to this file. `--env-file` and
    /// `TTHOST_ENV_FILE` name another in its place. Variables that are set already win.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_file: Option<PathBuf>,
    /// Things to back up, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub sources: Named<PluginSection>,
    /// Places that store snapshots, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub sinks: Named<Sink>,
    /// Sources and sinks that run together, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub jobs: Named<Job>,
    /// Whom to tell of failures, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub alerts: Named<Alert>,
    /// Which snapshots stay when a sink is pruned.
    pub retention: Retention,
}

/// A source: a plugin with its settings, grants and limits.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PluginSection {
    /// The plugin: the name of a bundled one, or a file.
    pub plugin: Plugin,
    /// The tags of its snapshots. The default is its name. Jobs and `--tag` add to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The host name in its snapshots. The default is that of the job, else `RESTIC_HOST`, else this machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The plugin's own settings; `tthost plugin inspect` prints their schema.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The grants of the plugin. Without an entry here, it can use nothing.
    #[serde(default)]
    pub grants: Grants,
    /// How much the plugin may use.
    #[serde(default)]
    pub limits: Limits,
    /// The snapshots of this source that a prune keeps. This overrides the policies of jobs and `[retention]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// A sink: a plugin that stores snapshots.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sink {
    /// The plugin: the name of a bundled one, or a file.
    pub plugin: Plugin,
    /// Whether a run fails if this sink stores no snapshot. If not, the run is incomplete.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether `--offsite` means this sink. `run`, `backup` and `prune` use it besides the others.
    #[serde(default)]
    pub offsite: bool,
    /// The plugin's own settings; `tthost plugin inspect` prints their schema.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The grants of the plugin. Without an entry here, it can use nothing.
    #[serde(default)]
    pub grants: Grants,
    /// How much the plugin may use.
    #[serde(default)]
    pub limits: Limits,
    /// Another plugin that stores the objects of this sink. The sink encrypts them first. The store has its own grants and limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
}

/// An object store: a plugin that keeps the objects of a sink.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Store {
    /// The plugin, a file.
    pub plugin: Plugin,
    /// The plugin's own settings; `tthost plugin inspect` prints their schema.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The grants of the plugin. Without an entry here, it can use nothing.
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
    /// The settings that a sink and a source share.
    pub(super) fn as_plugin_section(&self) -> PluginSection {
        PluginSection::of(&self.plugin, &self.config, &self.grants, &self.limits)
    }
}

impl Store {
    /// The settings that a sink and a source share.
    fn as_plugin_section(&self) -> PluginSection {
        PluginSection::of(&self.plugin, &self.config, &self.grants, &self.limits)
    }
}

impl PluginSection {
    fn of(
        plugin: &Plugin,
        config: &serde_json::Map<String, serde_json::Value>,
        grants: &Grants,
        limits: &Limits,
    ) -> Self {
        Self {
            plugin: plugin.clone(),
            tags: Vec::new(),
            host: None,
            config: config.clone(),
            grants: grants.clone(),
            limits: limits.clone(),
            retention: None,
        }
    }
}

/// A component.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a plugin is the name of a bundled one, or { path = \"...\", sha256 = \"...\" }"
)]
pub enum Plugin {
    /// The name of a bundled plugin.
    Bundled(String),
    /// A file.
    Component(Component),
}

/// A component in a file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Component {
    /// Its path, relative to the configuration file.
    pub path: PathBuf,
    /// The SHA-256 that the file must have, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where the file came from: what `tthost plugin update` fetches, and `tthost plugin verify` compares. A run never
    /// looks there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// The grants of a plugin.
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
    /// Programs, by the name by which the plugin asks.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub commands: Named<Command>,
    /// Secrets, by the name by which the plugin asks.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub secrets: Named<Value>,
    /// Servers to which the plugin may send HTTP requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Network>,
}

/// A directory with all below it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Directory {
    /// Its path, relative to the configuration file.
    #[schemars(with = "PathBuf")]
    pub path: DirectoryPath,
    /// The permitted access.
    #[serde(default)]
    pub access: Access,
}

/// Where a directory is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum DirectoryPath {
    /// At this path.
    Path(PathBuf),
    /// Where restic's variables say that the repository is. It is written `$RESTIC_REPOSITORY`.
    ResticRepository,
}

/// How [`DirectoryPath::ResticRepository`] is written.
const RESTIC_REPOSITORY: &str = "$RESTIC_REPOSITORY";

impl From<PathBuf> for DirectoryPath {
    fn from(path: PathBuf) -> Self {
        if path == Path::new(RESTIC_REPOSITORY) {
            Self::ResticRepository
        } else {
            Self::Path(path)
        }
    }
}

impl From<DirectoryPath> for PathBuf {
    fn from(location: DirectoryPath) -> Self {
        match location {
            DirectoryPath::Path(path) => path,
            DirectoryPath::ResticRepository => RESTIC_REPOSITORY.into(),
        }
    }
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
    /// The path under which snapshots have it, for example `/data`. By default it is its own path, or `/volumes/NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<String>,
    /// Take all volumes that match. Otherwise, more than one is an error.
    #[serde(skip_serializing_if = "is_false")]
    pub many: bool,
    /// How to treat the containers that use the volume during the backup. By default they keep running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
    /// A granted command that runs before tthost uses the volume. If it fails, so does the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A granted command that runs afterwards, whatever happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How to treat containers while tthost uses their volume.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Containers {
    /// tthost freezes them, and resumes them afterwards.
    Pause,
    /// tthost stops them, and starts them afterwards.
    Stop,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The permitted access to a directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// List and read.
    #[default]
    ReadOnly,
    /// Also create, change and remove.
    ReadWrite,
}

/// A program that a plugin may run.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Command {
    /// The program and its first arguments. The plugin adds arguments.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Its environment. It also gets PATH and the variables in `inherit`.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub env: Named<Variable>,
    /// Variables of tthost's own environment that the program gets. A `*` at the end stands for
    /// anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit: Vec<String>,
    /// Files and directories that the program can read, relative to the configuration file, besides what every program
    /// needs and what `argv` and `env` name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<PathBuf>,
    /// Whether the program has a network. By default it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<bool>,
    /// Whether the program may use the Docker engine, with which it can read everything on this machine. By default only
    /// a program called `docker` may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<bool>,
    /// How to proceed if this kernel cannot confine the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confine: Option<Confine>,
    /// Memory of each process of the program, and of all together, for example "2 GiB". By default half of the machine's, and 1 GiB at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// How many processes and threads the program may have at a time. By default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub processes: Option<u32>,
    /// The room in the program's own /tmp and /dev/shm, each, which is memory. By default "64 MiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<String>,
}

/// How to proceed if a kernel cannot confine a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confine {
    /// tthost warns about the restrictions that it cannot enforce, and runs the program. This is the default.
    BestEffort,
    /// The program is not run.
    Required,
}

/// A server to which a plugin may send HTTP requests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Scheme, host and port, for example `https://s3.example.com:9000`.
    pub origin: String,
    /// Whether it may be on this machine or in a private network.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    /// A file of certificates in PEM, relative to the configuration file. They are trusted for this
    /// server, together with the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// The value of a program's variable.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a variable is a text, or { env = \"...\" }, { file = \"...\" } or { command = [...] }"
)]
pub enum Variable {
    /// This text.
    Text(String),
    /// The place of a value that is not in the configuration.
    Value(Value),
}

/// The place of a value that is not in the configuration. Name exactly one.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    default,
    expecting = "the place of a secret: { file = \"...\" }, { env = \"...\" } or { command = [...] }"
)]
pub struct Value {
    /// This variable of tthost's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// This file, relative to the configuration file. White space at its ends is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The output of this program. White space at its ends is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// How much a plugin may use.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Memory, for example `512 MiB`. The default is 1 GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// How long it may compute without giving or taking anything. The default is `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_slice: Option<String>,
    /// How long it may take for everything, for example `6h`. By default there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_clock: Option<String>,
    /// How many bytes of contents it may give, for example `100 GiB`. By default there is no limit, except of 4 TiB for
    /// one file of which no size is announced, like a dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How many files and directories it may give. The default is 268435456.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// How long it may make no progress before it is given up, for example `30m`. Waiting for others does not count. The
    /// default is 10 minutes for a sink, and 1 hour for a source that is backed up. Without it, a source that restores
    /// may take as long as it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<String>,
}

/// Sources and sinks that run together.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Job {
    /// The sources. Each becomes a snapshot of its own.
    pub sources: Vec<String>,
    /// The sinks. Every snapshot goes into each of them.
    pub sinks: Vec<String>,
    /// Tags for the snapshots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The host name in the snapshots. The default is `RESTIC_HOST`, else this machine's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the job runs on its own: `daily 02:00`, `weekly Sun 03:00`, the five fields of cron, or a
    /// calendar event of systemd. `tthost schedule install` and `tthost daemon` see to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The time zone of the schedule, for example `Europe/Berlin`. The default is this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How much later than its schedule the job may begin, for example `30m`. Each machine has a
    /// delay of its own. By default there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// Whether the schedule also prunes the sinks. The default is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Whether the schedule also checks the sinks. The default is true. A number of runs has each of them
    /// also read a part back, so that so many runs read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// How often the schedule also restores the newest snapshots for trial, for example `30d`. By default it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// How old the last success may become, for example `26h`. An older one is told by alerts and by
    /// `tthost status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<String>,
    /// The snapshots of this job that a prune keeps. This overrides the policy of `[retention]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// How the schedule of a job checks its sinks.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "verify is true, false, or a number of runs")]
pub enum Verify {
    /// Their structure, or not at all.
    Structure(bool),
    /// So many runs read everything back.
    Rotation(NonZeroU32),
}

impl File {
    /// The names of the sources, of the sinks, or of the sinks that have a store.
    pub(super) fn names(&self, role: Role) -> Vec<&String> {
        match role {
            Role::Source => self.sources.keys().collect(),
            Role::Sink => self.sinks.keys().collect(),
            Role::Store => {
                let sinks = self.sinks.iter();
                let served = sinks.filter(|(_, sink)| sink.store.is_some());
                served.map(|(name, _)| name).collect()
            }
        }
    }

    /// The source or sink of this name, or the store of the sink of this name.
    pub(super) fn find(&self, role: Role, name: &str) -> Option<PluginSection> {
        match role {
            Role::Source => self.sources.get(name).cloned(),
            Role::Sink => self.sinks.get(name).map(Sink::as_plugin_section),
            Role::Store => self
                .sinks
                .get(name)?
                .store
                .as_ref()
                .map(Store::as_plugin_section),
        }
    }

    /// The JSON Schema of the file.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Self);
        serde_json::to_string_pretty(&schema).expect("a schema is JSON")
    }
}
