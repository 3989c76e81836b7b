//! What a plugin may touch. It starts with nothing; everything it gets is a value of
//! this module, and comes from the configuration.

mod secret;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::net::AllowedOrigin;
use crate::tree::RestoreOptions;

pub use secret::Secret;

/// All that one plugin was granted.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories, by the name that they have in the plugin (`/repository` for `repository`).
    pub directories: BTreeMap<String, Directory>,
    /// Trees of files, by the name that the plugin uses.
    pub trees: BTreeMap<String, Tree>,
    /// Trees that are Docker volumes, before they were looked for.
    pub volumes: BTreeMap<String, Volumes>,
    /// Programs that it may run, by the name that the plugin uses.
    pub commands: BTreeMap<String, Command>,
    /// Secrets that it may read, by the name that the plugin uses.
    pub secrets: BTreeMap<String, Secret>,
    /// Where it may send HTTP requests.
    pub network: Vec<AllowedOrigin>,
    /// Whether another plugin stores objects for it.
    pub store: bool,
    /// What the operation at hand leaves of all that.
    pub purpose: Purpose,
}

/// What an operation is about. It narrows what was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Backing up, working in a store, or a drill. Trees are for reading.
    #[default]
    Work,
    /// Working in a store without changing anything: directories are for reading, except for the
    /// one that the plugin keeps for itself, and HTTP requests can only be those that change nothing.
    Look,
    /// Putting trees back. They are for writing as well.
    Restore(Restoration),
}

impl Purpose {
    /// How trees are put back, where that is what the operation is about.
    pub fn restoration(self) -> Option<Restoration> {
        match self {
            Self::Restore(restoration) => Some(restoration),
            Self::Work | Self::Look => None,
        }
    }
}

/// How trees are put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// Nothing is changed, and no command gets any input.
    DryRun {
        /// Tell what would be removed.
        delete: bool,
    },
    /// They are written.
    Write(RestoreOptions),
}

impl Grants {
    /// Whether there are trees of files among them.
    pub fn has_trees(&self) -> bool {
        !self.trees.is_empty() || !self.volumes.is_empty()
    }
}

/// A directory on the host, with all below it.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// What may be done in it.
    pub access: Access,
}

/// A tree of files, or several under one name.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Where they are.
    pub paths: Vec<TreePath>,
}

/// Docker volumes, each of them a tree.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// Which ones.
    pub choice: Choice,
    /// The path under which a snapshot has the one that it is, as names from the top; none for one that names the volume.
    pub shown_as: Option<Vec<Vec<u8>>>,
    /// What becomes of the containers that use them meanwhile.
    pub containers: Containers,
    /// The granted command that is run before.
    pub before: Option<String>,
    /// The granted command that is run after, whatever happened.
    pub after: Option<String>,
    /// Where an engine may be; the first one that is there is asked.
    pub engines: Vec<String>,
}

/// Which volumes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one of this name.
    Existing(String),
    /// The one of this name, which is made when it is not there.
    Ensured(String),
    /// The only one that matches.
    One(VolumePattern),
    /// All that match.
    All(VolumePattern),
}

/// What a volume is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumePattern {
    /// This label: `key` or `key=value`.
    Label(String),
    /// A name that matches this pattern, in which `*` stands for anything.
    Name(String),
}

/// What becomes of containers while their volumes are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Containers {
    /// They run on.
    #[default]
    Run,
    /// They are frozen, and go on after that.
    Pause,
    /// They are stopped, and started after that.
    Stop,
}

/// Where a tree is.
#[derive(Clone, Debug)]
pub struct TreePath {
    /// The directory.
    pub path: PathBuf,
    /// The path that snapshots show in place of its own, as names from the top.
    pub shown_as: Option<Vec<Vec<u8>>>,
}

/// What may be done in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look and read.
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
    /// Its whole environment.
    pub env: BTreeMap<String, Secret>,
    /// What else it may use of this machine.
    pub confinement: Confinement,
}

impl Command {
    /// Where the program is, if it is there and can be run; looked for as the system does it.
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

/// What a program may use of this machine, when a plugin runs it. It starts with nothing.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Files and directories that it can read, besides what every program needs and what its arguments and
    /// variables name.
    pub read: Vec<PathBuf>,
    /// Whether it has a network.
    pub network: bool,
    /// Whether it may use a container engine.
    pub docker: bool,
    /// Whether it is run only where the kernel enforces all of that.
    pub required: bool,
    /// The sockets of container engines on this machine, and directories of such sockets.
    pub engines: Vec<PathBuf>,
    /// How much of the machine it may use.
    pub resources: Resources,
}

/// How much of the machine a program may use, as far as a kernel limits that without cgroups.
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

/// How much a plugin may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of memory, the plugin's own and what the host holds for it.
    pub memory: u64,
    /// How long it may compute without giving or taking anything.
    pub cpu_slice: Duration,
    /// How long it may take for everything; none for as long as it needs.
    pub wall_clock: Option<Duration>,
    /// Bytes of contents that it may give; none for any number, except of contents of which no size was announced.
    pub output: Option<u64>,
    /// Entries of a tree that it may give.
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
