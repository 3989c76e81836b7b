//! The differences between two versions of a plugin.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::fetch::Candidate;
use super::verify::InUse;
use crate::error::Result;
use crate::grant::Grants;
use crate::operation::Context;
use crate::plugin::{Description, Need};

/// What is different between two versions of a plugin. What it asks for in another way, for example no longer as an option,
/// is among what went and what came.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Changes {
    /// The name of the earlier one.
    pub name: String,
    /// The version of the earlier one.
    pub version: String,
    /// The digest of the earlier one, in hexadecimal.
    pub sha256: String,
    /// The interfaces that only the new one imports.
    pub imports_added: Vec<String>,
    /// The interfaces that only the earlier one imports.
    pub imports_removed: Vec<String>,
    /// The requests that only the new version makes.
    pub needs_added: Vec<Need>,
    /// The requests that only the earlier version makes.
    pub needs_removed: Vec<Need>,
    /// The settings that only the new one has.
    pub settings_added: Vec<String>,
    /// The settings that only the earlier one has.
    pub settings_removed: Vec<String>,
    /// The optional interfaces that only the new one exports.
    pub capabilities_added: Vec<&'static str>,
    /// The optional interfaces that only the earlier one exports.
    pub capabilities_removed: Vec<&'static str>,
}

/// Compares a plugin with what may take its place.
pub async fn compare(context: &Context, plugin: &InUse, candidate: &Candidate) -> Result<Changes> {
    let nothing = Grants::default();
    let described = context.runtime.describe(&plugin.origin, &nothing);
    let before = context.unless_cancelled(described).await?;
    Ok(changes(&before, &candidate.description))
}

/// Compares two versions.
fn changes(before: &Description, after: &Description) -> Changes {
    let imports = |description: &Description| {
        let imports = description.imports.iter();
        imports.map(|import| import.interface.clone()).collect()
    };
    let (old_imports, new_imports) = (imports(before), imports(after));
    let (old_settings, new_settings) = (settings(before), settings(after));
    let capabilities = |of: &Description| of.capabilities.iter().copied().collect();
    let (old_capabilities, new_capabilities) = (capabilities(before), capabilities(after));
    Changes {
        name: before.name.clone(),
        version: before.version.clone(),
        sha256: before.sha256.clone(),
        imports_added: lacking(&new_imports, &old_imports),
        imports_removed: lacking(&old_imports, &new_imports),
        needs_added: needs(after, before),
        needs_removed: needs(before, after),
        settings_added: lacking(&new_settings, &old_settings),
        settings_removed: lacking(&old_settings, &new_settings),
        capabilities_added: lacking(&new_capabilities, &old_capabilities),
        capabilities_removed: lacking(&old_capabilities, &new_capabilities),
    }
}

fn settings(description: &Description) -> BTreeSet<String> {
    let properties = description.config_schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

/// Those of the first that the second does not have.
fn lacking<T: Ord + Clone>(first: &BTreeSet<T>, second: &BTreeSet<T>) -> Vec<T> {
    first.difference(second).cloned().collect()
}

fn needs(of: &Description, other: &Description) -> Vec<Need> {
    let is_alike = |need: &Need, other: &Need| {
        (need.resource, &need.name, need.optional) == (other.resource, &other.name, other.optional)
    };
    let needs = of.needs.iter();
    needs
        .filter(|need| !other.needs.iter().any(|other| is_alike(need, other)))
        .cloned()
        .collect()
}
