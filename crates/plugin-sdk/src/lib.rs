//! The SDK for plugins of the backup host tthost.
//!
//! A plugin is a WebAssembly component that implements the contract `tthost:backup`. This crate has the contract's types, and a
//! trait for each kind of plugin. It also has descriptions, configuration, streams with their verdicts, programs and HTTP.
//!
//! | you have | you write | module |
//! |---|---|---|
//! | a server or directory for named objects | [`Objects`](store::Objects): put, get, list, stat, remove | [`store`] |
//! | a storage for snapshots in your own format | [`Snapshots`](snapshots::Snapshots) and [`Pending`](snapshots::Pending) | [`snapshots`] |
//! | something to back up | [`Source`](source::Source): entries and their contents | [`source`] |
//!
//! A store in memory:
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::BTreeMap;
//!
//! use tthost_plugin::store::{Access, Body, Existing, Object, Objects, Page, Part, ObjectStat};
//! use tthost_plugin::{About, Error, Result};
//!
//! tthost_plugin::configuration! {
//!     /// There is nothing to set.
//!     struct Config {}
//!     needs {}
//! }
//!
//! #[derive(Default)]
//! struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);
//!
//! impl Objects for Memory {
//!     type Config = Config;
//!
//!     const ABOUT: About = About {
//!         name: "memory-store",
//!         version: "0.1.0",
//!         summary: "Keeps objects until it ends",
//!     };
//!
//!     async fn open(_: Config, _: Access) -> Result<Self> {
//!         Ok(Self::default())
//!     }
//!
//!     async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
//!         let bytes = body.bytes(size).await?;
//!         let mut objects = self.0.borrow_mut();
//!         if existing == Existing::Kept && objects.contains_key(name) {
//!             return Err(Error::Exists(format!("{name} is there already")));
//!         }
//!         objects.insert(name.into(), bytes);
//!         Ok(())
//!     }
//!
//!     async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
//!         let objects = self.0.borrow();
//!         let missing = || Error::NotFound(format!("{name} is not there"));
//!         Body::part_of(objects.get(name).ok_or_else(missing)?, part)
//!     }
//!
//!     async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
//!         let objects = self.0.borrow();
//!         let all = objects.iter().map(|(name, bytes)| Object {
//!             name: name.clone(),
//!             size: bytes.len() as u64,
//!         });
//!         Ok(Page::of(all, prefix))
//!     }
//!
//!     async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
//!         let size = self.0.borrow().get(name).map(|bytes| bytes.len() as u64);
//!         Ok(size.map(|size| ObjectStat { size, stored: None }))
//!     }
//!
//!     async fn remove(&self, name: &str) -> Result<()> {
//!         self.0.borrow_mut().remove(name);
//!         Ok(())
//!     }
//! }
//!
//! tthost_plugin::export_store!(Memory);
//! ```
//!
//! Build it with `crate-type = ["cdylib"]` for `wasm32-wasip2`.

/// The guide's examples are tested like those here.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plugin-author.md")]
mod guide {}

pub mod bindings;
mod body;
pub mod command;
mod configuration;
pub mod http;
mod numbers;
mod selected;
pub mod snapshots;
pub mod source;
pub mod store;
mod transfer;
pub mod tree;
pub mod unfinished;

pub use bindings::tthost::backup::log::{Level, log};
pub use bindings::tthost::backup::types::{Error, Instant};
pub use configuration::{About, Configuration, Need, needs};
#[doc(hidden)]
pub use {configuration::derived, schemars, serde, tthost_plugin_macros::exports};

use bindings::tthost::backup::secrets;

/// Records the names of temporary things, so that the next instance removes them if this one is interrupted.
pub mod leftovers {
    pub use crate::bindings::tthost::backup::leftovers::{clear, left, note};
}

/// Trees of files that the operator granted.
pub mod trees {
    pub use crate::bindings::files::tthost::backup::trees::{
        Changes, Directory, Item, Restoration, Root, Stamp, Wanted, WholeFile, granted, open,
        read_small,
    };
}

/// The result of a call of a plugin.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Runs a task concurrently with the calls of the plugin, as long as the plugin runs.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(work);
}

/// The granted secret with this name, as text. `denied` if there is none.
pub async fn secret(name: &str) -> Result<String> {
    let bytes = secrets::get(name.into()).await?;
    String::from_utf8(bytes).map_err(|_| Error::Config(format!("the secret {name} is not text")))
}

/// The same for an optional secret.
pub async fn optional_secret(name: &str) -> Result<Option<String>> {
    match secret(name).await {
        Err(Error::Denied(_)) => Ok(None),
        secret => secret.map(Some),
    }
}
