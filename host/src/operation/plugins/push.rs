//! Publishes a plugin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;

use super::fetch::{Candidate, ComponentLocation, fetch};
use crate::error::Result;
use crate::operation::Context;
use crate::registry::{self, Access, Reference};

/// A plugin that was published.
#[derive(Serialize, JsonSchema)]
pub struct Pushed {
    /// Where it is.
    pub reference: String,
    /// The location by the digest of its manifest, which always names the same component.
    pub pinned_reference: String,
    /// The name in the plugin's description.
    pub plugin_name: String,
    /// Its version.
    pub plugin_version: String,
    /// Its digest, in hexadecimal: what those who add it compare.
    pub sha256: String,
}

impl crate::operation::Report for Pushed {}

/// Publishes a file that is a plugin of this contract, and nothing else.
#[instrument(name = "push", level = "error", skip_all)]
pub async fn push(
    context: &Context,
    file: PathBuf,
    reference: &Reference,
    access: &Access,
) -> Result<Pushed> {
    let candidate = fetch(context, ComponentLocation::File(file), access).await?;
    let Candidate {
        component,
        description,
        ..
    } = candidate;
    let imports = description.imports.into_iter();
    let imports: Vec<_> = imports.map(|import| import.interface).collect();
    let annotations = [
        ("org.opencontainers.image.title", &description.name),
        ("org.opencontainers.image.version", &description.version),
        ("org.opencontainers.image.description", &description.summary),
    ];
    let annotations: BTreeMap<_, _> = annotations
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    let interfaces = (imports.as_slice(), description.exports.as_slice());
    let pushed = registry::push(reference, component, interfaces, annotations, access);
    let pushed = context.unless_cancelled(pushed).await?;
    Ok(Pushed {
        reference: reference.to_string(),
        pinned_reference: reference.at(pushed.manifest).to_string(),
        plugin_name: description.name,
        plugin_version: description.version,
        sha256: pushed.component.to_hex(),
    })
}
