//! The kinds of leftovers.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something outside of a process that it undoes before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Leftover {
    /// A container that does not run.
    Container(SuspendedContainer),
    /// A container that shows a volume.
    Helper {
        /// The engine's address.
        engine: String,
        /// The container's name.
        name: String,
    },
    /// An image with nothing in it.
    Image {
        /// The engine's address.
        engine: String,
        /// The image's name.
        name: String,
    },
    /// Files below a directory that are not complete.
    Files {
        /// The directory.
        root: PathBuf,
        /// How their names begin. No other names do.
        prefix: String,
    },
    /// Something that a plugin knows.
    OfPlugin {
        /// Which source or sink it is, with its configuration.
        owner: String,
        /// The plugin's name for it.
        name: String,
    },
}

/// A container that is paused or stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SuspendedContainer {
    /// The engine's address.
    pub(crate) engine: String,
    pub(crate) id: String,
    /// For messages.
    pub(crate) name: String,
    pub(crate) halt: SuspendMode,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// How a container is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SuspendMode {
    /// Its processes are frozen.
    Pause,
    /// They have ended.
    Stop,
}

impl fmt::Display for SuspendMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "paused",
            Self::Stop => "stopped",
        })
    }
}

impl SuspendedContainer {
    /// Whether both are about the same container.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.engine == other.engine && self.id == other.id
    }
}
