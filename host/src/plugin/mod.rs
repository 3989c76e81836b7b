//! Plugins: components that are found, checked against their pin, compiled once,
//! and run each in a store of its own.

mod bindings;
mod imports;

use std::path::PathBuf;

use crate::error::Result;
use crate::grant::{Grants, Limits};

/// What a plugin is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is backed up.
    Source,
    /// It stores snapshots.
    Sink,
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

/// One configured use of a plugin: which component, set up how, granted what.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The name that the operator gave it.
    pub name: String,
    /// What it is used as.
    pub role: Role,
    /// Where the component comes from.
    pub origin: Origin,
    /// The `config` table, handed to the plugin as JSON.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What it may touch.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
}

impl Spec {
    /// What the operator knows it as, for example `sink restic-local`.
    pub fn subject(&self) -> String {
        match self.role {
            Role::Source => format!("source {}", self.name),
            Role::Sink => format!("sink {}", self.name),
        }
    }
}

/// A plugin that ships inside this program.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name that a configuration uses, for example `restic-sink`.
    pub name: &'static str,
    /// What it can be used as.
    pub role: Role,
    /// The component.
    pub bytes: &'static [u8],
}

/// All plugins that ship inside this program.
pub fn bundled() -> &'static [Bundled] {
    &[]
}

/// What a component says of itself, and what it imports.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Description {
    /// The plugin's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence on what it does.
    pub summary: String,
    /// The JSON Schema of its `config` table.
    pub config_schema: serde_json::Value,
    /// SHA-256 of the component's bytes, in hexadecimal.
    pub sha256: String,
    /// The interfaces that it imports, by their full names.
    pub imports: Vec<Import>,
}

/// An interface that a component imports.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Import {
    /// Its full name, for example `tthost:backup/commands@0.1.0`.
    pub interface: String,
    /// The grant that it needs, for example `commands`; none for what every plugin may use.
    pub needs: Option<String>,
    /// Whether the grants at hand allow it.
    pub granted: bool,
}

/// The runtime that compiles and runs plugins.
#[derive(Clone)]
pub struct Runtime {}

impl Runtime {
    /// A runtime that caches compiled components in `cache`, which is created when
    /// it is missing; none for no cache.
    pub fn new(_cache: Option<PathBuf>) -> Result<Self> {
        Ok(Self {})
    }

    /// Loads a component without running anything but its `describe`, and compares
    /// its imports with what it is granted.
    pub async fn describe(&self, _origin: &Origin, _grants: &Grants) -> Result<Description> {
        unimplemented!()
    }
}
