//! A plugin of tthost: a restic repository in a directory, which the host grants as `/repository`, or in an object
//! store, which is another plugin. `restic-plugin` has the code that all such sinks share.

mod files;
mod probing;

use restic_plugin::bindings::exports::tthost::backup::plugin::{Description, Need, ResourceKind};
use restic_plugin::bindings::exports::tthost::backup::sink::Rights;
use restic_plugin::bindings::tthost::backup::types::Access;
use restic_plugin::probe;
use restic_repo::{Error, Result};
use serde::Deserialize;

use files::{Files, REPOSITORY, STATE};

const CONFIG_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "description": "restic-sink takes everything from its grants: the directory `repository` or a store, and the secret `password`.",
  "type": "object",
  "properties": {},
  "additionalProperties": false
}"#;

type Component = restic_plugin::Plugin<DirectoryStorage>;

restic_plugin::bindings::export!(Component with_types_in restic_plugin::bindings);

/// There is nothing to set: the directory, the store and the password are granted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// A directory, or a store.
struct DirectoryStorage;

impl restic_plugin::Storage for DirectoryStorage {
    type Files = Files;

    fn describe() -> Description {
        let directory = |name: &str, optional: bool, reason: &str| Need {
            resource: ResourceKind::Directory(Access::ReadWrite),
            name: name.into(),
            optional,
            reason: reason.into(),
        };
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Stores snapshots in a restic repository in a directory or an object store"
                .into(),
            config_schema: CONFIG_SCHEMA.into(),
            needs: vec![
                directory(
                    REPOSITORY,
                    false,
                    "It holds the repository, unless a store does.",
                ),
                directory(
                    STATE,
                    true,
                    "It keeps copies of what is read again and again from a store.",
                ),
                restic_plugin::password(),
            ],
        }
    }

    async fn find(config: &str, _: Access) -> Result<Files> {
        let Config {} = serde_json::from_str(config)
            .map_err(|cause| Error::Config(format!("config: {cause}")))?;
        Files::granted().await
    }

    async fn probe(config: &str) -> Result<Rights> {
        let files = Self::find(config, Access::ReadWrite).await?;
        let probed = probing::probe(&files).await;
        Self::close(&files).await;
        probed
    }

    async fn clean_up(files: &Files) {
        if let Some(directory) = files.directory() {
            directory.remove_leftovers().await;
        }
        probe::remove_leftovers(async |name| files.remove_file(name).await).await;
    }

    async fn close(files: &Files) {
        if let Some(directory) = files.directory() {
            directory.remove_partial().await;
        }
    }
}
