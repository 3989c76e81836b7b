//! The manifest of a component in a registry: the layout of the CNCF's working group on WebAssembly, as `wkg` writes
//! it. It has one layer, which is the component, and a configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::text::printable;

/// The kind of an image's manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The kind of what lists the manifests of several platforms.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The same two, as Docker calls them.
const DOCKER: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// The kind of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The kind of a layer that is a component.
const LAYER: &str = "application/wasm";

/// What requests for a manifest accept. More than is of use, so that what is there can be named.
pub(super) fn accepted() -> String {
    [MANIFEST, INDEX, DOCKER[0], DOCKER[1]].join(", ")
}

/// A manifest, as far as it matters.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Those of several platforms, where it is an index.
    #[serde(default, skip_serializing)]
    manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The name of something in the same repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

impl Descriptor {
    pub(super) fn digest(&self) -> Result<Digest> {
        self.digest.parse().map_err(|why: String| {
            let digest = printable(&self.digest);
            Error::new(Kind::Corrupt, format!("its manifest names {digest}: {why}"))
        })
    }
}

/// The layer that is the component, of a manifest that names nothing else.
pub(super) fn component(bytes: &[u8]) -> Result<Descriptor> {
    let wrong = |why: String| {
        let text = format!("it is not a component: {why}");
        Error::new(Kind::Unsupported, text)
            .help("plugins are published by `tthost plugin push`, and by wkg")
    };
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|cause| {
        Error::new(Kind::Corrupt, "its manifest cannot be read").caused_by(cause)
    })?;
    if !manifest.manifests.is_empty() {
        return Err(several(&manifest.manifests));
    }
    let kind = manifest.media_type.as_deref().unwrap_or(MANIFEST);
    if kind != MANIFEST {
        return Err(wrong(format!("its manifest is {}", printable(kind))));
    }
    let config = manifest.config.map(|config| config.media_type);
    match config.as_deref() {
        Some(CONFIG) => {}
        Some(other) => {
            let other = printable(other);
            return Err(wrong(format!(
                "it is configured by {other}, and not by {CONFIG}"
            )));
        }
        None => return Err(wrong("its manifest names no configuration".into())),
    }
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER => Ok(layer.clone()),
        [layer] => {
            let kind = printable(&layer.media_type);
            Err(wrong(format!("its layer is {kind}, and not {LAYER}")))
        }
        layers => Err(wrong(format!(
            "it has {} layers, and not one",
            layers.len()
        ))),
    }
}

/// The error of an index. A component runs anywhere, so there is nothing to choose by.
fn several(manifests: &[Descriptor]) -> Error {
    /// So many are named.
    const MAX_NAMED: usize = 5;
    let names: Vec<_> = manifests
        .iter()
        .take(MAX_NAMED)
        .map(|one| printable(&one.digest))
        .collect();
    let text = format!(
        "it is an index of {} manifests, one for each platform, and a plugin is for all",
        manifests.len()
    );
    let help = format!(
        "if one of them is the plugin, name it by its digest in the place of the tag: {}",
        names.join(", ")
    );
    Error::new(Kind::Unsupported, text).help(help)
}

/// What is published with a component, which always has the same bytes for the same component.
pub(super) struct Published {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl Published {
    /// With what the component says of itself.
    pub(super) fn new(
        component: &[u8],
        (imports, exports): (&[String], &[String]),
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let layer = Descriptor {
            media_type: LAYER.into(),
            digest: Digest::of(component).to_string(),
            size: component.len() as u64,
        };
        let config = serde_json::json!({
            // Readers want a time. One that is always the same makes no difference where there is none.
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.digest],
            "component": { "imports": imports, "exports": exports },
        });
        let config = config.to_string().into_bytes();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.into()),
            config: Some(Descriptor {
                media_type: CONFIG.into(),
                digest: Digest::of(&config).to_string(),
                size: config.len() as u64,
            }),
            layers: vec![layer],
            manifests: Vec::new(),
            annotations,
        };
        let manifest = serde_json::to_vec(&manifest).expect("texts and numbers are JSON");
        Self { config, manifest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> serde_json::Value {
        let published = Published::new(b"wasm", (&[], &[]), BTreeMap::new());
        serde_json::from_slice(&published.manifest).expect("it is JSON")
    }

    fn read(manifest: &serde_json::Value) -> Result<Descriptor> {
        component(manifest.to_string().as_bytes())
    }

    #[test]
    fn what_is_published_is_read_again() {
        let layer = read(&published()).expect("it is a component");
        assert_eq!(layer.digest().expect("it is one"), Digest::of(b"wasm"));
        assert_eq!(layer.size, 4);
    }

    #[test]
    fn manifests_of_anything_else_are_told_apart() {
        let image = "application/vnd.oci.image.config.v1+json";
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        let change = |pointer: &str, value: serde_json::Value| {
            let mut manifest = published();
            *manifest.pointer_mut(pointer).expect("it is there") = value;
            read(&manifest).expect_err(pointer).message()
        };
        let layer = published()["layers"][0].clone();
        for (pointer, value, why) in [
            ("/config/mediaType", image.into(), image),
            ("/layers/0/mediaType", tar.into(), tar),
            ("/layers", vec![layer.clone(), layer].into(), "2 layers"),
            ("/layers", serde_json::json!([]), "0 layers"),
            ("/mediaType", DOCKER[0].into(), DOCKER[0]),
            ("/config", serde_json::Value::Null, "no configuration"),
        ] {
            let error = change(pointer, value);
            assert!(error.contains(why), "{error}");
        }
        let digest = Digest::of(b"").to_string();
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{ "mediaType": MANIFEST, "digest": digest, "size": 2 }],
        });
        let error = read(&index).expect_err("it is an index");
        assert!(error.message().contains("index of 1"), "{error}");
        assert!(error.next_step().is_some_and(|help| help.contains(&digest)));
    }
}
