//! The grants of a plugin. A plugin starts with nothing. Everything that it gets is a value of this module, and comes
//! from the configuration.

mod secret;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::net::AllowedOrigin;
use crate::tree::RestoreOptions;

pub use secret::Secret;

/// The grants of one plugin.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories, by the name that they have in the plugin (`/repository` for `repository`).
    pub directories: BTreeMap<String, Directory>,
    /// Trees of files, by the name that the plugin uses.
    pub trees: BTreeMap<String, Tree>,
    /// Trees that are Docker volumes, before they are resolved.
    pub volumes: BTreeMap<String, Volumes>,
    /// Programs that it may run, by the name that the plugin uses.
    pub commands: BTreeMap<String, Command>,
    /// Secrets that it may read, by the name that the plugin uses.
    pub secrets: BTreeMap<String, Secret>,
    /// Origins that it may send HTTP requests to.
    pub network: Vec<AllowedOrigin>,
    /// Whether another plugin stores objects for it.
    pub store: bool,
    /// The current operation, which narrows the grants.
    pub purpose: Purpose,
}

/// The purpose of an operation. It narrows the grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Backing up, working in a store, or a drill. Trees are for reading.
    #[default]
    Work,
    /// Working in a store without changing anything: directories are for reading, except for the
    /// one that the plugin keeps for itself, and HTTP requests can only be those that change nothing.
    Inspect,
    /// Restoring trees, which are writable then.
    Restore(Restoration),
}

impl Purpose {
    /// The options of a restoration, if the operation is one.
    pub fn restoration(self) -> Option<Restoration> {
        match self {
            Self::Restore(restoration) => Some(restoration),
            Self::Work | Self::Inspect => None,
        }
    }
}

/// The options of a restoration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// A dry run: nothing is changed, and no command gets any input.
    DryRun {
        /// Report entries that would be removed.
        delete: bool,
    },
    /// Trees are written.
    Write(RestoreOptions),
}

impl Grants {
    /// Whether they include trees of files.
    pub fn has_trees(&self) -> bool {
        !self.trees.is_empty() || !self.volumes.is_empty()
    }
}

/// A directory on the host, with everything below it.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// The access to it.
    pub access: Access,
}

/// A tree of files, or several under one name.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Their locations.
    pub paths: Vec<TreePath>,
}

/// Docker volumes, each of them a tree.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// The selected volumes.
    pub choice: Choice,
    /// The path under which a snapshot has the one that it is, as names from the top; none for one that names the volume.
    pub shown_as: Option<Vec<Vec<u8>>>,
    /// What happens to the containers that use them.
    pub containers: Containers,
    /// The granted command to run before.
    pub before: Option<String>,
    /// The granted command to run afterwards in any case.
    pub after: Option<String>,
    /// The possible addresses of an engine. The first existing one is used.
    pub engines: Vec<String>,
}

/// The selection of volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The volume with this name.
    Existing(String),
    /// The volume with this name. It is created if it does not exist.
    Ensured(String),
    /// The only matching volume.
    One(VolumePattern),
    /// All matching volumes.
    All(VolumePattern),
}

/// The property that a volume must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumePattern {
    /// This label: `key` or `key=value`.
    Label(String),
    /// A name that matches this pattern, in which `*` stands for anything.
    Name(String),
}

/// What happens to containers while their volumes are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Containers {
    /// They keep running.
    #[default]
    Run,
    /// They are paused and resumed.
    Pause,
    /// They are stopped and started again.
    Stop,
}

/// The location of a tree.
#[derive(Clone, Debug)]
pub struct TreePath {
    /// The directory.
    pub path: PathBuf,
    /// The path that snapshots show in place of its own, as names from the top.
    pub shown_as: Option<Vec<Vec<u8>>>,
}

/// The access to a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// List and read.
    ReadOnly,
    /// Also create, change and remove. The directory itself is created when it is missing.
    ReadWrite,
}

/// A program that a plugin may run.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The program.
    pub program: String,
    /// Its first arguments; the plugin only adds to them.
    pub arguments: Vec<String>,
    /// Its complete environment.
    pub env: BTreeMap<String, Secret>,
    /// Other resources of this machine that it may use.
    pub confinement: Confinement,
}

impl Command {
    /// The path of the program, if it exists and is executable. It is searched as the system does.
    pub fn find(&self) -> Option<PathBuf> {
        let can_be_run = |path: &PathBuf| {
            path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
        };
        if self.program.contains('/') {
            return Some(PathBuf::from(&self.program)).filter(can_be_run);
        }
        let path = self.env.get("PATH")?;
        let directories = std::env::split_paths(OsStr::from_bytes(path.expose()));
        let mut places = directories.map(|directory| directory.join(&self.program));
        places.find(can_be_run)
    }
}

/// The resources of this machine that a program of a plugin may use. It starts with nothing.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Files and directories that it can read, besides what every program needs and what its arguments and
    /// variables name.
    pub read: Vec<PathBuf>,
    /// Whether it has a network.
    pub network: bool,
    /// Whether it may use a container engine.
    pub docker: bool,
    /// Whether it runs only if the kernel enforces all of that.
    pub required: bool,
    /// The sockets of container engines on this machine, and directories of such sockets.
    pub engines: Vec<PathBuf>,
    /// Its resource limits.
    pub resources: Resources,
}

/// The resource limits of a program that a kernel enforces without cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory for each of its processes, and for all together; none for a share of what the machine has.
    pub memory: Option<u64>,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Bytes of each directory that it may write to, which is memory.
    pub scratch: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            memory: None,
            processes: 1024,
            scratch: 64 << 20,
        }
    }
}

/// The limits of a plugin.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of memory, the plugin's own and what the host holds for it.
    pub memory: u64,
    /// CPU time that it may use without moving data.
    pub cpu_slice: Duration,
    /// The total time; none for no limit.
    pub wall_clock: Option<Duration>,
    /// Bytes of contents that it may give; none for any number, except of contents of which no size was announced.
    pub output: Option<u64>,
    /// Entries of a tree that it may produce.
    pub entries: u64,
    /// How long it may make no progress while everything that it waits for is there. None is as long as plugins of
    /// its role usually may.
    pub stall_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            cpu_slice: Duration::from_secs(30),
            wall_clock: None,
            output: None,
            entries: 1 << 28,
            stall_timeout: None,
        }
    }
}
