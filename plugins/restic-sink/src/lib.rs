//! A restic repository in a directory or in an object store, as a plugin of tthost: the directory that the host granted as
//! `/repository`, or another plugin that stores objects. On top of it is what `restic-plugin` has for all such sinks.

mod files;

use restic_plugin::bindings::exports::tthost::backup::plugin::{Description, Need, ResourceKind};
use restic_plugin::bindings::exports::tthost::backup::sink::{Answer, Rights};
use restic_plugin::bindings::tthost::backup::types::Access;
use restic_plugin::platform::now;
use restic_repo::{Backend as _, Error, FileKind, Result};
use serde::Deserialize;

use files::{Files, REPOSITORY, STATE};

/// The file that is written to find out what can be done. No program takes it for its own.
const PROBE: &str = "tthost-probe";

const CONFIG_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "description": "restic-sink takes everything from its grants: the directory `repository` or a store, and the secret `password`.",
  "type": "object",
  "properties": {},
  "additionalProperties": false
}"#;

type Component = restic_plugin::Plugin<Granted>;

restic_plugin::bindings::export!(Component with_types_in restic_plugin::bindings);

/// There is nothing to set: the directory, the store and the password are granted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// A directory, or a store.
struct Granted;

impl restic_plugin::Storage for Granted {
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
        let contents = b"whether this place can be written to";
        let put = files.write_file(PROBE, contents.to_vec()).await;
        let read = files.read_file(PROBE).await;
        let overwrite = match put {
            Ok(()) => files.write_file(PROBE, contents.to_vec()).await,
            Err(_) => put.clone(),
        };
        let get = match (&put, read) {
            (Ok(()), Ok(Some(read))) if read == contents => Answer::Yes,
            (Ok(()), _) => Answer::No,
            (Err(_), _) => Answer::Unknown,
        };
        let delete = match put {
            Ok(()) => files.remove_file(PROBE).await,
            Err(_) => put.clone(),
        };
        let list = files.list(FileKind::Snapshot).await;
        if let Some(directory) = files.directory() {
            directory.remove_partial().await;
        }
        Ok(Rights {
            put: answer(&put),
            get,
            list: answer(&list),
            delete: answer(&delete),
            overwrite: answer(&overwrite),
            put_if_absent: Answer::No,
            versioned: Answer::No,
            object_lock: Answer::No,
            found: now().into(),
            notes: put
                .err()
                .map(|error| error.to_string())
                .into_iter()
                .collect(),
        })
    }

    async fn tidy(files: &Files) {
        if let Some(directory) = files.directory() {
            directory.remove_left().await;
        }
    }

    async fn leave(files: &Files) {
        if let Some(directory) = files.directory() {
            directory.remove_partial().await;
        }
    }
}

fn answer<T>(result: &Result<T>) -> Answer {
    match result {
        Ok(_) => Answer::Yes,
        // A store for repositories alone has no place for another file.
        Err(Error::Unsupported(_)) => Answer::Unknown,
        Err(_) => Answer::No,
    }
}
