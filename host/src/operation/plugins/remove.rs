//! Removes a plugin from the configuration. Its data stays.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::install::rewrite;
use super::verify::InUse;
use crate::error::Result;
use crate::plugin::Role;

/// A section that is to go.
#[derive(Debug)]
pub struct Removal {
    /// The source or sink that goes.
    pub plugin: InUse,
    /// The configuration.
    pub config: PathBuf,
    /// Its current text.
    pub before: String,
    /// Its new text.
    pub after: String,
}

/// A section that went.
#[derive(Serialize, JsonSchema)]
pub struct Removed {
    /// The name of the source or sink.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The configuration that it was in.
    pub config: PathBuf,
    /// Its plugin's file, which stays: a run may be using it.
    pub file: PathBuf,
}

impl crate::operation::Report for Removed {}

/// Takes the section out.
pub fn remove(removal: Removal) -> Result<Removed> {
    rewrite(&removal.config, &removal.before, &removal.after)?;
    Ok(Removed {
        file: removal.plugin.origin.to_string().into(),
        name: removal.plugin.name,
        role: removal.plugin.role,
        config: removal.config,
    })
}
