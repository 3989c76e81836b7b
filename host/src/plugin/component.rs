//! A component before it runs: finds it, compares it with its pin, compiles it, and lets it describe itself.

use std::borrow::Cow;

use semver::Version;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use super::bundled::{Bundled, bundled};
use super::compile::compile;
use super::file;
use super::need::{self, Need};
use super::{Instance, Origin, Role, Runtime, Spec, schema, version};
use crate::error::{Error, Kind, Result};
use crate::grant::{Grants, Limits};
use crate::net;
use crate::text::printable;

/// How messages name the plugin that stores a sink's objects.
const STORE: &str = "store";

/// The description of a component and its imports.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Description {
    /// The plugin's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence that describes it.
    pub summary: String,
    /// The version of the contract that it is built for.
    #[serde(serialize_with = "version::as_text")]
    #[schemars(with = "String")]
    pub contract: Version,
    /// The JSON Schema of its `config` table.
    pub config_schema: serde_json::Value,
    /// The grants that it requests.
    pub needs: Vec<Need>,
    /// The roles that it supports: `source`, `sink` or both.
    pub roles: Vec<Role>,
    /// The optional interfaces that it exports.
    pub capabilities: Vec<&'static str>,
    /// SHA-256 of the component's bytes, in hexadecimal.
    pub sha256: String,
    /// The interfaces that it imports, in the order of their names.
    pub imports: Vec<Import>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
}

/// An interface that a component imports.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Import {
    /// Its full name, for example `tthost:backup/commands@0.2.0`.
    pub interface: String,
    /// The grant that it needs, for example `commands`; none for what every plugin may use.
    pub needs: Option<&'static str>,
    /// Whether the current grants allow it.
    pub granted: bool,
}

/// A compiled component.
#[derive(Clone)]
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) imports: Vec<Import>,
    exports: Vec<String>,
    /// The version of the contract that it is built for; `None` if it uses no interface of the contract.
    contract: Option<Version>,
    /// The optional interfaces that it exports.
    pub(super) capabilities: Vec<Capability>,
    sha256: [u8; 32],
    /// It ships inside this program.
    is_bundled: bool,
}

/// The advice for a component that exports no role of a plugin.
const WORLDS: &str = "a plugin targets one of the worlds of the contract, for example sink-plugin";

/// An interface that a plugin need not export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Care for a store.
    Maintenance,
    /// Describing the changes of a restore in advance.
    Survey,
    /// Restoring for trial.
    Drill,
}

impl Capability {
    const ALL: [Self; 3] = [Self::Maintenance, Self::Survey, Self::Drill];

    /// The name of the interface.
    pub(super) const fn interface(self) -> &'static str {
        match self {
            Self::Maintenance => interface!("maintenance"),
            Self::Survey => interface!("survey"),
            Self::Drill => interface!("drill"),
        }
    }
}

impl Compiled {
    /// Finds the component and compiles the very bytes that were compared with its pin.
    pub(super) async fn load(runtime: &Runtime, origin: &Origin, grants: &Grants) -> Result<Self> {
        let found = {
            let origin = origin.clone();
            let found = tokio::task::spawn_blocking(move || find_pinned(&origin)).await;
            found
                .map_err(|cause| Error::new(Kind::Other, "it cannot be read").caused_by(cause))??
        };
        Self::of(runtime, &found, &place(origin), grants).await
    }

    /// Compiles the component that was found.
    async fn of(
        runtime: &Runtime,
        found: &Found<'_>,
        place: &str,
        grants: &Grants,
    ) -> Result<Self> {
        let compiled = compile(runtime, found.sha256(), || found.bytes()).await;
        let component = compiled.map_err(|error| match error.kind() {
            Kind::Plugin => {
                let fault = error.message();
                Error::new(
                    Kind::Plugin,
                    format!("{place} is not a component that can be run: {fault}"),
                )
                .help(file::HELP)
            }
            _ => error,
        })?;
        let names = component.component_type();
        let imports = names.imports(runtime.engine()).map(|(name, _)| name);
        let imports: Vec<_> = imports.map(str::to_owned).collect();
        let exports = names.exports(runtime.engine()).map(|(name, _)| name);
        let exports: Vec<_> = exports.map(str::to_owned).collect();
        let contract = version::of(imports.iter().chain(&exports).map(String::as_str));
        contract.as_ref().map_or(Ok(()), version::check)?;
        let imports = imports.iter().map(|name| Import::new(name, grants));
        let imports = imports.collect();
        let is_exported = |capability: &Capability| {
            let interface = capability.interface();
            exports.iter().any(|export| version::is(export, interface))
        };
        Ok(Self {
            capabilities: Capability::ALL.into_iter().filter(is_exported).collect(),
            component,
            imports,
            exports,
            contract,
            sha256: found.sha256(),
            is_bundled: matches!(found, Found::Bundled(_)),
        })
    }

    /// The roles that it supports.
    fn roles(&self) -> Vec<Role> {
        let is_exported = |role: &Role| {
            let interface = role.interface();
            let mut exports = self.exports.iter();
            exports.any(|export| version::is(export, interface))
        };
        Role::ALL.into_iter().filter(is_exported).collect()
    }

    /// The error for a component that exports no role of a plugin.
    pub(super) fn expect_plugin(&self) -> Result<()> {
        if !self.roles().is_empty() {
            return Ok(());
        }
        let wanted = Role::ALL.map(Role::interface).join(", ");
        let found = match self.exports.as_slice() {
            [] => "it exports nothing".to_owned(),
            [first, ..] => format!("it exports {}", printable(first)),
        };
        let text = format!("it is a component, and no plugin: {found}, and none of {wanted}");
        Err(Error::new(Kind::Plugin, text).help(WORLDS))
    }

    /// Why a component cannot be connected with what this host offers, where more can be said than the `cause`.
    pub(super) fn expect_linkable(&self, cause: &wasmtime::Error) -> Result<()> {
        self.expect_plugin()?;
        self.check_offered()?;
        let cause = printable(&format!("{cause:#}"));
        let lacking = self.contract.as_ref();
        let lacking = lacking.and_then(|version| version::lacking(version, &cause));
        lacking.map_or(Ok(()), Err)
    }

    /// Lets the plugin describe itself, without any grant, and compares its `config` table and its
    /// grants with that, before it sees any of them. Answers what it asks for.
    pub(super) async fn introduce(&self, runtime: &Runtime, spec: &Spec) -> Result<Vec<Need>> {
        let said = Instance::describe(runtime, self, &spec.limits).await?;
        let config = Some(&spec.config);
        schema::judge(runtime, &said.config_schema, config, self.is_bundled).await?;
        let needs = need::needs(said.needs, &spec.grants)?;
        need::check(&needs)?;
        Ok(needs)
    }

    /// The error of a component that imports what this host does not have.
    pub(super) fn check_offered(&self) -> Result<()> {
        let unknown = |import: &&Import| !import.granted && import.needs.is_none();
        let Some(import) = self.imports.iter().find(unknown) else {
            return Ok(());
        };
        let interface = &import.interface;
        let contract = self.contract.as_ref();
        let what = format!("it imports {interface}");
        if let Some(error) = contract.and_then(|version| version::lacking(version, &what)) {
            return Err(error);
        }
        let text = format!("it imports {interface}, which this version of tthost does not offer");
        Err(Error::new(Kind::Unsupported, text)
            .help("it may be built for another version of tthost"))
    }
}

impl Import {
    fn new(interface: &str, grants: &Grants) -> Self {
        let (package, version) = interface.split_once('@').unwrap_or((interface, ""));
        let (needs, granted) = match package {
            "tthost:backup/secrets" => (Some("secrets"), !grants.secrets.is_empty()),
            "tthost:backup/commands" => (Some("commands"), !grants.commands.is_empty()),
            "tthost:backup/objects" => (Some(STORE), grants.store),
            "tthost:backup/trees" => (Some("trees"), grants.has_trees()),
            "wasi:http/types" | "wasi:http/client" if version.starts_with("0.3.") => {
                (Some("network"), !grants.network.is_empty())
            }
            "tthost:backup/types"
            | "tthost:backup/log"
            | "tthost:backup/progress"
            | "tthost:backup/leftovers"
            | "tthost:backup/seal" => (None, true),
            // Linked for everybody, because the standard libraries of guests import them;
            // an import without a grant is empty or refuses.
            _ => (
                None,
                [
                    "wasi:cli/",
                    "wasi:io/",
                    "wasi:clocks/",
                    "wasi:random/",
                    "wasi:filesystem/",
                    "wasi:sockets/",
                ]
                .iter()
                .any(|prefix| package.starts_with(prefix)),
            ),
        };
        Self {
            interface: printable(interface),
            needs,
            granted,
        }
    }
}

impl Runtime {
    /// Loads a plugin and runs nothing but its `describe`: whether it is there, is what was pinned, is a component that
    /// this host can run, has a `config` table that matches its schema, and is granted what it cannot do without and nothing that it does not
    /// ask for.
    /// Answers what it imports and is not granted, except for a store, without which a sink works in another place.
    pub async fn check(&self, spec: &Spec) -> Result<Vec<Import>> {
        let checked = async {
            let compiled = Compiled::load(self, &spec.origin, &spec.grants).await?;
            compiled.check_offered()?;
            net::check(&spec.grants.network)?;
            let needs = compiled.introduce(self, spec).await?;
            let uses_store = |import: &Import| import.needs == Some(STORE);
            if spec.store.is_some() && !compiled.imports.iter().any(uses_store) {
                let text = "store has no effect: the plugin stores no objects";
                return Err(Error::new(Kind::Config, text)
                    .help("remove it, or use a plugin like restic-sink"));
            }
            if let Some(key) = need::useless(&needs, &spec.grants) {
                let text = format!("{key} has no effect: the plugin does not ask for it");
                return Err(Error::new(Kind::Config, text)
                    .help("remove it; `tthost plugin inspect` lists what the plugin asks for"));
            }
            let imports = compiled.imports.into_iter();
            let is_denied = |import: &Import| !import.granted && import.needs != Some(STORE);
            Ok(imports.filter(is_denied).collect())
        };
        checked
            .await
            .map_err(|error: Error| error.of(spec.subject()))
    }

    /// Whether a plugin exports an optional interface. Does not run it.
    pub(crate) async fn can(&self, spec: &Spec, capability: Capability) -> Result<bool> {
        let loaded = Compiled::load(self, &spec.origin, &spec.grants).await;
        let compiled = loaded.map_err(|error| error.of(spec.subject()))?;
        Ok(compiled.capabilities.contains(&capability))
    }

    /// The roles of a component according to its exports. Does not run it.
    pub(crate) async fn roles(&self, origin: &Origin) -> Result<Vec<Role>> {
        let compiled = Compiled::load(self, origin, &Grants::default()).await?;
        Ok(compiled.roles())
    }

    /// Loads a component, runs nothing but its `describe`, and compares its imports with
    /// what it is granted.
    pub async fn describe(&self, origin: &Origin, grants: &Grants) -> Result<Description> {
        let compiled = Compiled::load(self, origin, grants).await?;
        self.describe_compiled(&compiled, grants).await
    }

    /// The same for a component that is in no file, from a place that messages name.
    pub async fn describe_bytes(
        &self,
        component: &[u8],
        place: &str,
        grants: &Grants,
    ) -> Result<Description> {
        let compiled = Compiled::of(self, &Found::read(component), place, grants).await?;
        self.describe_compiled(&compiled, grants).await
    }

    async fn describe_compiled(&self, compiled: &Compiled, grants: &Grants) -> Result<Description> {
        let said = Instance::describe(self, compiled, &Limits::default()).await?;
        let contract = compiled.contract.clone().ok_or_else(|| {
            Error::new(Kind::Plugin, "it has nothing of the contract").help(WORLDS)
        })?;
        let is_own = compiled.is_bundled;
        let config_schema = schema::judge(self, &said.config_schema, None, is_own).await?;
        Ok(Description {
            name: printable(&said.name),
            version: printable(&said.version),
            summary: printable(&said.summary),
            contract,
            config_schema,
            needs: need::needs(said.needs, grants)?,
            roles: compiled.roles(),
            capabilities: compiled
                .capabilities
                .iter()
                .map(|capability| capability.interface())
                .collect(),
            sha256: hex::encode(compiled.sha256),
            imports: compiled.imports.clone(),
            exports: compiled
                .exports
                .iter()
                .map(|name| printable(name))
                .collect(),
        })
    }
}

/// A component that was found.
enum Found<'a> {
    Bundled(&'static Bundled),
    Read {
        bytes: Cow<'a, [u8]>,
        sha256: [u8; 32],
    },
}

impl<'a> Found<'a> {
    fn read(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        let sha256 = Sha256::digest(&bytes).into();
        Self::Read { bytes, sha256 }
    }

    fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Bundled(plugin) => plugin.sha256,
            Self::Read { sha256, .. } => *sha256,
        }
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Bundled(plugin) => plugin.bytes().into(),
            Self::Read { bytes, .. } => Cow::Borrowed(bytes),
        }
    }
}

/// Finds a component, which is that of its pin.
fn find_pinned(origin: &Origin) -> Result<Found<'static>> {
    let found = find(origin)?;
    if let Origin::File {
        path,
        sha256: Some(pin),
    } = origin
        && *pin != found.sha256()
    {
        return Err(Error::new(
            Kind::Denied,
            format!(
                "{} is not the pinned file: its SHA-256 is {}",
                path.display(),
                hex::encode(found.sha256())
            ),
        )
        .help("if you replaced the plugin on purpose, change sha256 in the configuration"));
    }
    Ok(found)
}

fn find(origin: &Origin) -> Result<Found<'static>> {
    match origin {
        Origin::Bundled(name) => bundled()
            .iter()
            .find(|plugin| plugin.name == name)
            .map(Found::Bundled)
            .ok_or_else(|| {
                let names: Vec<_> = bundled().iter().map(|plugin| plugin.name).collect();
                Error::new(Kind::Config, format!("there is no bundled plugin {name}")).help(
                    format!(
                        "the bundled plugins are {}; for a file, write {{ path = \"...\" }}",
                        names.join(", ")
                    ),
                )
            }),
        Origin::File { path, .. } => file::read(path).map(Found::read),
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Bundled(name) => format!("the bundled plugin {name}"),
        Origin::File { path, .. } => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::AllowedOrigin;

    #[test]
    fn http_needs_a_grant_and_is_there_in_one_version() {
        let network = AllowedOrigin {
            origin: net::Origin::parse("https://s3.example.com").expect("it is one"),
            private: false,
            ca: None,
        };
        let granted = Grants {
            network: vec![network],
            ..Grants::default()
        };
        for (interface, needs, there) in [
            ("wasi:http/client@0.3.0", Some("network"), true),
            ("wasi:http/types@0.3.0", Some("network"), true),
            ("wasi:http/handler@0.3.0", None, false),
            ("wasi:http/outgoing-handler@0.2.6", None, false),
        ] {
            let import = Import::new(interface, &granted);
            assert_eq!(
                (import.needs, import.granted),
                (needs, there),
                "{interface}"
            );
            assert!(
                !Import::new(interface, &Grants::default()).granted,
                "{interface}"
            );
        }
    }
}
