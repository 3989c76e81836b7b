//! The instructions for the launcher.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::grant;

/// The name under which this program is the launcher.
pub(super) const LAUNCHER: &str = "tthost-launcher";

/// How a program is confined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Which namespaces are made.
    pub(super) namespaces: Namespaces,
    /// Whether calls of the system are filtered.
    pub(super) filter: bool,
    /// Whether it has a network.
    pub(super) network: bool,
    /// The files and directories that it can read.
    pub(super) view: Vec<PathBuf>,
    /// Sockets that it cannot reach, wherever they are.
    pub(super) hidden: Vec<PathBuf>,
    /// How much of the machine it may use.
    pub(super) resources: Resources,
    /// Everything is done but running the program.
    pub(super) self_test: bool,
}

/// How much of the machine a program may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Resources {
    /// Bytes of memory of each process, and of all together.
    pub(super) memory: u64,
    /// Processes and threads at a time.
    pub(super) processes: u32,
    /// Bytes of each scratch directory.
    pub(super) scratch: u64,
}

/// No machine is so small that programs have less memory, unless their grant says it, in bytes.
const LEAST_MEMORY: u64 = 1 << 30;

impl From<grant::Resources> for Resources {
    fn from(granted: grant::Resources) -> Self {
        let all = || {
            let info = rustix::system::sysinfo();
            info.totalram.saturating_mul(info.mem_unit.into())
        };
        Self {
            memory: granted
                .memory
                .unwrap_or_else(|| LEAST_MEMORY.max(all() / 2)),
            processes: granted.processes,
            scratch: granted.scratch,
        }
    }
}

/// Which namespaces a program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Namespaces {
    /// Its own mounts, processes and IPC.
    Privileged,
    /// The same, in a user namespace, for those who may not make the others.
    User,
    /// None.
    None,
}

/// The failure of the launcher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    /// The step that failed.
    pub(super) layer: Layer,
    /// The attempted action.
    pub(super) what: String,
    /// The number of the system's error.
    pub(super) errno: i32,
}

/// The layers of a program's confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Layer {
    Namespaces,
    Restrictions,
    Filter,
    /// Nothing: it is the program that cannot be started.
    Program,
}

impl Failure {
    /// The failure of a step of this layer.
    pub(super) fn of(
        layer: Layer,
        what: impl Into<String>,
    ) -> impl FnOnce(std::io::Error) -> Failure {
        let what = what.into();
        move |cause| Failure {
            layer,
            what,
            errno: cause.raw_os_error().unwrap_or_default(),
        }
    }

    /// The system's error.
    pub(super) fn cause(&self) -> std::io::Error {
        std::io::Error::from_raw_os_error(self.errno)
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Its status, as the system encodes it.
    pub(super) status: i32,
    /// What its processes had too much of together, if they were ended for that.
    pub(super) outgrown: Option<Outgrown>,
}

/// What the processes of a program can have too much of together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgrown {
    Memory,
    Processes,
}

impl End {
    /// The bytes that the launcher says it in.
    pub(super) const LENGTH: usize = 5;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [a, b, c, d] = self.status.to_ne_bytes();
        let outgrown = match self.outgrown {
            None => 0,
            Some(Outgrown::Memory) => 1,
            Some(Outgrown::Processes) => 2,
        };
        [a, b, c, d, outgrown]
    }

    pub(super) fn from_bytes([a, b, c, d, outgrown]: [u8; Self::LENGTH]) -> Self {
        Self {
            status: i32::from_ne_bytes([a, b, c, d]),
            outgrown: match outgrown {
                1 => Some(Outgrown::Memory),
                2 => Some(Outgrown::Processes),
                _ => None,
            },
        }
    }
}

/// The launcher's word for a program that has started; anything else is a [`Failure`].
pub(super) const STARTED: u8 = b'+';
