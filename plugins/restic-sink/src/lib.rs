//! A restic repository in a directory, as a plugin of tthost: the directory that the host granted
//! as `/repository`, and on top of it what `restic-plugin` has for all such sinks.

use restic_plugin::Directory;
use restic_plugin::bindings::exports::tthost::backup::plugin::{Description, Need, ResourceKind};
use restic_plugin::bindings::exports::tthost::backup::sink::{Answer, Rights};
use restic_plugin::bindings::tthost::backup::types::Access;
use restic_plugin::platform::now;
use restic_repo::{Error, Result};
use serde::Deserialize;

/// The name under which the host grants the directory.
const GRANT: &str = "repository";

/// The file that is written to find out what can be done. No program takes it for its own.
const PROBE: &str = "tthost-probe";

const CONFIG_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "description": "restic-sink takes everything from its grants: the directory `repository` and the secret `password`.",
  "type": "object",
  "properties": {},
  "additionalProperties": false
}"#;

type Component = restic_plugin::Plugin<LocalDirectory>;

restic_plugin::bindings::export!(Component with_types_in restic_plugin::bindings);

/// There is nothing to set: the directory and the password are grants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct LocalDirectory;

impl restic_plugin::Storage for LocalDirectory {
    type Files = Directory;

    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Stores snapshots in a restic repository in a directory".into(),
            config_schema: CONFIG_SCHEMA.into(),
            needs: vec![
                Need {
                    resource: ResourceKind::Directory(Access::ReadWrite),
                    name: GRANT.into(),
                    optional: false,
                    reason: "It holds the repository.".into(),
                },
                restic_plugin::password(),
            ],
        }
    }

    async fn find(config: &str, _: Access) -> Result<Directory> {
        let Config {} = serde_json::from_str(config)
            .map_err(|cause| Error::Config(format!("config: {cause}")))?;
        Directory::granted(GRANT).ok_or_else(|| {
            Error::Config("no directory was granted: set grants.directories.repository".into())
        })
    }

    async fn probe(config: &str) -> Result<Rights> {
        let directory = Self::find(config, Access::ReadWrite).await?;
        let contents = b"whether this directory can be written to";
        let put = directory.write_file(PROBE, contents.to_vec()).await;
        let read = directory.read_file(PROBE);
        let overwrite = match put {
            Ok(()) => directory.write_file(PROBE, contents.to_vec()).await,
            Err(_) => put.clone(),
        };
        let get = match (&put, read) {
            (Ok(()), Ok(Some(read))) if read == contents => Answer::Yes,
            (Ok(()), _) => Answer::No,
            (Err(_), _) => Answer::Unknown,
        };
        let delete = match put {
            Ok(()) => directory.remove_file(PROBE).await,
            Err(_) => put.clone(),
        };
        let list = directory.list_names(".");
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

    async fn tidy(directory: &Directory) {
        directory.remove_left().await;
    }

    async fn leave(directory: &Directory) {
        directory.remove_partial().await;
    }
}

fn answer<T>(result: &Result<T>) -> Answer {
    match result {
        Ok(_) => Answer::Yes,
        Err(_) => Answer::No,
    }
}
