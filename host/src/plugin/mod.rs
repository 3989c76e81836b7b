//! Plugins: components that are found, checked against their pin, compiled once,
//! and run each in a store and a task of its own.
//!
//! The only module that uses wasmtime's API, together with the two ends of a transfer ([`streams`]). A plugin can reach
//! only what [`imports`] links for its [`Grants`].

/// The full name of an interface of the contract, in the version that this host is built with.
macro_rules! interface {
    ($name:literal) => {
        concat!("tthost:backup/", $name, "@", env!("TTHOST_CONTRACT"))
    };
}

mod aside;
mod bindings;
mod buffers;
mod bundled;
mod cache;
mod caller;
mod compile;
mod component;
mod context;
mod convert;
mod cores;
mod derived;
mod directories;
mod exit_report;
mod exports;
mod file;
mod host_stream;
mod imports;
mod instance;
mod instantiate;
mod linker;
mod memory;
mod need;
mod runtime;
mod schema;
mod stall;
mod state;
mod streams;
mod threads;
mod version;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Span, error_span};

use crate::grant::{Grants, Limits, Purpose};
use crate::tree::Root;

pub use bundled::{Bundled, bundled};
pub(crate) use caller::{hostname, username};
pub(crate) use compile::{COMMAND as COMPILE, MAX_SIZE, serve as compile};
pub use component::{Description, Import};
pub use context::Context;
pub(crate) use exports::{
    ObjectStore, PluginReader, PluginWriter, Reclaim, Repository, Restoration, clean_up, drill,
    open, probe, restore, survey, unlock,
};
pub(crate) use file::read as read_component;
use instance::Instance;
pub(crate) use instance::{GRACE, sink_stall_timeout};
pub use need::{Need, Resource};
pub use runtime::Runtime;
pub(crate) use schema::{COMMAND as JUDGE, serve as judge};
pub use version::{ContractVersions, spoken};

/// The directory in which a sink remembers things, and stores none.
pub(crate) const STATE: &str = "state";

/// The role of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is backed up.
    Source,
    /// It stores snapshots.
    Sink,
    /// It stores objects for a sink.
    Store,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Source, Self::Sink, Self::Store];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Store => "store",
        }
    }

    /// The name of this plugin in messages, for example `sink restic-local`.
    pub(crate) fn subject(self, name: &str) -> String {
        match self {
            Self::Source | Self::Sink => format!("{} {name}", self.word()),
            Self::Store => format!("store of sink {name}"),
        }
    }

    /// The section of the configuration that has the plugin of this name.
    pub(crate) fn section(self, name: &str) -> Vec<&str> {
        match self {
            Self::Source => vec!["sources", name],
            Self::Sink => vec!["sinks", name],
            Self::Store => vec!["sinks", name, "store"],
        }
    }

    /// The interface that a component exports which can be used so.
    const fn interface(self) -> &'static str {
        match self {
            Self::Source => interface!("source"),
            Self::Sink => interface!("sink"),
            Self::Store => interface!("store"),
        }
    }

    /// The tracing span for work with a plugin of this name.
    pub(crate) fn span(self, name: &str) -> Span {
        match self {
            Self::Source => error_span!("source", source = name),
            Self::Sink => error_span!("sink", sink = name),
            Self::Store => error_span!("store", sink = name),
        }
    }
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It ships inside this program, under this name.
    Bundled(String),
    /// A file, and the SHA-256 that its bytes must have.
    File {
        /// Where it is.
        path: PathBuf,
        /// The pin, where there is one.
        sha256: Option<[u8; 32]>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) => f.write_str(name),
            Self::File { path, .. } => path.display().fmt(f),
        }
    }
}

/// One configured use of a plugin: which component, set up how, granted what.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The name that the operator gave it.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Where the component comes from.
    pub origin: Origin,
    /// The `config` table, handed to the plugin as JSON.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Its grants.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// The store of a sink that uses another plugin to store its objects.
    pub store: Option<Box<Spec>>,
    /// Trees of its grants that are not on this machine, open. An operation opens them.
    pub(crate) streamed: BTreeMap<String, Vec<Root>>,
}

impl Spec {
    /// The `config` table as the plugin gets it.
    fn config_json(&self) -> String {
        serde_json::Value::Object(self.config.clone()).to_string()
    }

    /// The directory that a sink stores in, for messages: the plugin knows it by another name.
    fn place(&self) -> Option<String> {
        let directories = &self.grants.directories;
        let mut stores = directories.iter().filter(|(name, _)| *name != STATE);
        match self.role {
            Role::Sink => Some(stores.next()?.1.path.display().to_string()),
            Role::Source | Role::Store => None,
        }
    }

    /// Whether it works on trees of files.
    pub fn has_trees(&self) -> bool {
        self.grants.has_trees()
    }

    /// It and its store, where it has one.
    pub(crate) fn with_store(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.store.as_deref())
    }

    /// The same, for this purpose.
    #[must_use]
    pub(crate) fn for_purpose(&self, purpose: Purpose) -> Self {
        let mut spec = self.clone();
        spec.grants.purpose = purpose;
        if let Some(store) = &mut spec.store {
            store.grants.purpose = purpose;
        }
        spec
    }

    /// Its name in messages, for example `sink restic-local`.
    pub fn subject(&self) -> String {
        self.role.subject(&self.name)
    }

    /// The tracing span for work with it.
    pub(crate) fn span(&self) -> Span {
        self.role.span(&self.name)
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
