//! Compares plugins with their pins, and pins with the current tags of a registry.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tracing::instrument;

use super::fetch::ComponentLocation;
use super::pin::{Pin, pin};
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::operation::{Context, Verdict};
use crate::plugin::{Origin, Role};
use crate::registry::{self, Access, Digest};

/// A plugin in a file, as the configuration uses it.
#[derive(Clone, Debug)]
pub struct InUse {
    /// The name of its source or sink.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its file and its pin.
    pub origin: Origin,
    /// Where it came from, as the configuration remembers it.
    pub from: Option<String>,
}

/// The comparison of each plugin.
#[derive(Serialize, JsonSchema)]
pub struct Report {
    /// The plugins.
    pub plugins: Vec<Checked>,
}

/// How a plugin stands to its pin.
#[derive(Serialize, JsonSchema)]
pub struct Checked {
    /// The name of its source or sink.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its file.
    pub file: PathBuf,
    /// The result of comparing the file with its digest.
    pub pin: Pin,
    /// The digest that the file must have; null where nothing is pinned.
    pub pinned: Option<String>,
    /// The digest that it has; null where it cannot be read.
    pub found: Option<String>,
    /// Where it came from; null where the configuration does not say it.
    pub from: Option<String>,
    /// The digest at the registry; null if tthost did not ask it.
    pub registry: Option<Upstream>,
}

/// The state of a plugin's origin at a registry.
#[derive(Serialize, JsonSchema)]
pub struct Upstream {
    /// The digest of the component that it has there now.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Offered>")]
    pub offered: Result<Offered>,
}

/// A component that a registry has.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Offered {
    /// Its digest, in hexadecimal.
    #[serde(serialize_with = "in_hexadecimal")]
    #[schemars(with = "String")]
    pub sha256: Digest,
    /// Whether it is the pinned one. Otherwise the tag was moved.
    pub is_pinned: bool,
}

fn in_hexadecimal<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    digest.to_hex().serialize(serializer)
}

impl crate::operation::Report for Report {
    /// A plugin that cannot be used as it is pinned is a failure. That a tag was moved is none: nothing fetches by it.
    fn verdict(&self) -> Verdict {
        if self.plugins.iter().any(|plugin| plugin.pin.is_broken()) {
            return Verdict::Failed(Kind::Denied);
        }
        let asked = self
            .plugins
            .iter()
            .filter_map(|plugin| plugin.registry.as_ref());
        let is_partial = asked.into_iter().any(|registry| registry.offered.is_err())
            || self.plugins.iter().any(|plugin| plugin.pin == Pin::None);
        if is_partial {
            Verdict::Incomplete
        } else {
            Verdict::Done
        }
    }
}

/// Compares plugins with their pins, and asks the registries that they came from where that is wanted.
#[instrument(name = "verify", level = "error", skip_all)]
pub async fn verify(
    context: &Context,
    plugins: Vec<InUse>,
    registries: Option<&Access>,
) -> Result<Report> {
    let mut checked = Vec::new();
    for plugin in plugins {
        let asked = context.unless_cancelled(check(plugin, registries));
        checked.extend(asked.await?);
    }
    Ok(Report { plugins: checked })
}

/// None for a plugin that is in no file.
async fn check(plugin: InUse, registries: Option<&Access>) -> Result<Option<Checked>> {
    let Origin::File { path, sha256 } = plugin.origin.clone() else {
        return Ok(None);
    };
    let pinned = sha256.map(Digest::from);
    let origin = plugin.origin;
    let compared = tokio::task::spawn_blocking(move || pin(&origin)).await;
    let (state, found) =
        compared.map_err(|cause| Error::new(Kind::Other, "it cannot be read").caused_by(cause))?;
    let registry = match (&plugin.from, registries) {
        (Some(from), Some(access)) => ask(from, access, pinned.or(found)).await,
        _ => None,
    };
    Ok(Some(Checked {
        name: plugin.name,
        role: plugin.role,
        file: path,
        pin: state,
        pinned: pinned.map(Digest::to_hex),
        found: found.map(Digest::to_hex),
        from: plugin.from,
        registry,
    }))
}

/// Asks a registry for the digest at a location; `None` if the location is not at a registry.
async fn ask(from: &str, access: &Access, pinned: Option<Digest>) -> Option<Upstream> {
    let Ok(ComponentLocation::Registry(reference)) = ComponentLocation::parse(from) else {
        return None;
    };
    let found = registry::find(&reference, access).await;
    let offered = found.map(|(sha256, _)| Offered {
        sha256,
        is_pinned: Some(sha256) == pinned,
    });
    Some(Upstream { offered })
}
