//! The plugin under test and its grants. It never gets the operator's own stores.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use tempfile::TempDir;
use tthost_conformance::host::{self, CallFuture, Programs};
use tthost_conformance::model;

use super::convert;
use super::fixture::StoreFixture;
use super::objects::ObjectStoreFixture;
use super::recording::recorded;
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Directory, Secret};
use crate::journal::Journal;
use crate::operation::Context;
use crate::plugin::{Need, Resource, Role, Spec};

/// The placeholder in a setting for the name of a location that one check uses.
const SCRATCH: &str = "{scratch}";

/// The name of the directory for a sink's own state.
pub(super) const STATE: &str = "state";

/// A plugin under test.
pub(super) struct Bench {
    context: Context,
    spec: Spec,
    role: model::Role,
    /// A prefix that separates the places of this test from those of other tests.
    label: String,
    places: AtomicU64,
}

impl Bench {
    /// The plugin of this spec, with what else it needs and can be made up.
    pub(super) async fn new(context: &Context, mut spec: Spec) -> Result<Self> {
        match context.runtime.describe(&spec.origin, &spec.grants).await {
            Ok(described) => {
                for need in described.needs.iter().filter(|need| !need.granted) {
                    create_missing(&mut spec, need)?;
                }
                match spec.role {
                    Role::Sink | Role::Store => expect_location(&spec)?,
                    Role::Source => {}
                }
            }
            // That is for a check to tell. It never gets as far as a store.
            Err(error) if error.kind() == Kind::Plugin => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            context: context.clone(),
            role: convert::role(spec.role),
            spec,
            label: random_name()?,
            places: AtomicU64::new(0),
        })
    }

    /// The plugin with directories that are new and empty, and settings that name a new location.
    fn fresh(&self) -> Result<(Spec, TempDir)> {
        let cannot = |cause| Error::of_system("cannot make a directory for a test", cause);
        let root = tempfile::Builder::new().prefix("tthost-test.").tempdir();
        let root = root.map_err(cannot)?;
        let mut spec = self.spec.clone();
        for (name, directory) in &mut spec.grants.directories {
            directory.path = if name == STATE {
                root.path().join(STATE)
            } else {
                store_below(root.path()).join(name)
            };
            std::fs::create_dir_all(&directory.path).map_err(cannot)?;
        }
        let number = self.places.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.label);
        for value in spec.config.values_mut() {
            fill_in(value, &name);
        }
        Ok((spec, root))
    }
}

/// Where the directories are that hold a store.
pub(super) fn store_below(root: &Path) -> std::path::PathBuf {
    root.join("store")
}

/// The context for a fixture below this directory. Its journal goes away with it, because nobody uses the fixture again.
pub(super) fn own_journal(context: Context, root: &Path) -> Context {
    Context {
        journal: Journal::new(root),
        ..context
    }
}

/// Grants what costs nothing: a directory that is empty, a secret that is made up.
fn create_missing(spec: &mut Spec, need: &Need) -> Result<()> {
    let access = match need.resource {
        Resource::Directory => Access::ReadOnly,
        Resource::WritableDirectory => Access::ReadWrite,
        Resource::Secret if !need.optional => {
            let secret = Secret::from(random_name()?);
            spec.grants.secrets.insert(need.name.clone(), secret);
            return Ok(());
        }
        _ => return Ok(()),
    };
    if need.name != "*" {
        let path = need.name.clone().into();
        let directory = Directory { path, access };
        spec.grants.directories.insert(need.name.clone(), directory);
    }
    Ok(())
}

/// Refuses a sink or a store that stores where the test cannot make it store somewhere else.
fn expect_location(spec: &Spec) -> Result<()> {
    let mut directories = spec.grants.directories.iter();
    let stores_here =
        directories.any(|(name, directory)| name != STATE && directory.access == Access::ReadWrite);
    let names_places = spec.config.values().any(names_place);
    if stores_here || names_places {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        "nothing keeps the tests away from its real store: it stores in no directory, and its settings do not say where",
    )
    .help(format!(
        "write {SCRATCH} into the setting that names the place, like \"backup/{SCRATCH}\": each check has a name of its own there"
    )))
}

fn names_place(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(SCRATCH),
        Value::Array(values) => values.iter().any(names_place),
        Value::Object(values) => values.values().any(names_place),
        _ => false,
    }
}

fn fill_in(value: &mut Value, name: &str) {
    match value {
        Value::String(text) => *text = text.replace(SCRATCH, name),
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, name)),
        Value::Object(values) => values.values_mut().for_each(|value| fill_in(value, name)),
        _ => {}
    }
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|cause| {
        Error::new(Kind::Other, "the system has no random numbers").caused_by(cause)
    })?;
    Ok(format!("conformance-{}", hex::encode(bytes)))
}

impl host::Host for Bench {
    fn role(&self) -> model::Role {
        self.role
    }

    fn describe(&self) -> CallFuture<'_, model::Description> {
        let describing = async {
            let Spec { origin, grants, .. } = &self.spec;
            let said = self.context.runtime.describe(origin, grants).await;
            said.map(convert::description)
                .map_err(|error| convert::error(&error))
        };
        describing.boxed_local()
    }

    fn start_with_key<'a>(&'a self, key: &'a str) -> CallFuture<'a, ()> {
        let starting = async move {
            let (mut spec, _root) = self.fresh()?;
            spec.config.insert(key.to_owned(), Value::Bool(true));
            self.context.runtime.check(&spec).await.map(drop)
        };
        convert::call(starting)
    }

    fn store_fixture(&self) -> CallFuture<'_, Box<dyn host::StoreFixture>> {
        let made = async {
            let (spec, root) = self.fresh()?;
            let fixture = StoreFixture::new(self.context.clone(), spec, root);
            Ok(Box::new(fixture) as Box<dyn host::StoreFixture>)
        };
        convert::call(made)
    }

    fn object_store_fixture(&self) -> CallFuture<'_, Box<dyn host::ObjectStoreFixture>> {
        let made = async {
            let (spec, root) = self.fresh()?;
            let fixture = ObjectStoreFixture::new(self.context.clone(), spec, root);
            Ok(Box::new(fixture) as Box<dyn host::ObjectStoreFixture>)
        };
        convert::call(made)
    }

    fn source(&self, programs: Programs) -> CallFuture<'_, Box<dyn host::Source>> {
        let made = async move {
            let (spec, root) = self.fresh()?;
            let source = Source::new(self.context.clone(), spec, root, programs);
            Ok(Box::new(source) as Box<dyn host::Source>)
        };
        convert::call(made)
    }

    fn plugin_output(&self) -> String {
        recorded()
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        let secrets = self.spec.grants.secrets.values();
        secrets.map(|secret| secret.expose().to_vec()).collect()
    }

    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_named_wherever_it_stands_in_the_settings() {
        let mut value = json!({ "at": ["s3:host/bucket/{scratch}", 7], "other": "x" });
        assert!(names_place(&value));
        fill_in(&mut value, "name-1");
        assert_eq!(
            value,
            json!({ "at": ["s3:host/bucket/name-1", 7], "other": "x" })
        );
        assert!(!names_place(&value));
    }
}
