//! A sink that keeps each snapshot in a file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bindings::exports::tthost::backup::maintenance;
use crate::bindings::exports::tthost::backup::sink::{
    Answer, Depth, Draft, Finding, Findings, Guest, GuestRepository, Identity, ReclaimOptions,
    Reclaimed, Repository, Rights, Selection, Severity, Snapshot, Subset, Usage,
};
use crate::bindings::exports::tthost::backup::transfer::{Reader, Writer};
use crate::bindings::tthost::backup::types::{Access, Caller, Error, Instant};
use crate::tree::{Given, Taken, Tree};
use crate::{Component, PLACE, failed};

/// The open directory.
pub(crate) struct Files;

/// The file by which a store is known.
fn mark() -> PathBuf {
    Path::new(PLACE).join("store")
}

fn file(id: &str) -> PathBuf {
    Path::new(PLACE).join(format!("{id}.json"))
}

/// Stores a snapshot, unless it is only for trial.
pub(crate) fn keep(draft: &Draft, tree: &Tree) -> Result<String, Error> {
    let id = format!("{}-{}", draft.time.seconds, draft.time.nanoseconds);
    let text = json!({
        "id": id,
        "seconds": draft.time.seconds,
        "nanoseconds": draft.time.nanoseconds,
        "hostname": draft.hostname,
        "username": draft.username,
        "tags": draft.tags,
        "paths": draft.paths,
        "tree": tree.to_json(),
    });
    fs::write(file(&id), text.to_string()).map_err(|cause| failed("the snapshot", &cause))?;
    Ok(id)
}

fn load() -> Result<Vec<Value>, Error> {
    let mut snapshots = Vec::new();
    let files = fs::read_dir(PLACE).map_err(|cause| failed("the store", &cause))?;
    for entry in files.flatten() {
        if entry.path().extension().is_some_and(|is| is == "json") {
            let text =
                fs::read_to_string(entry.path()).map_err(|cause| failed("a snapshot", &cause))?;
            let snapshot = serde_json::from_str(&text);
            snapshots.push(snapshot.map_err(|cause| Error::Corrupt(cause.to_string()))?);
        }
    }
    snapshots.sort_by_key(|snapshot: &Value| snapshot["seconds"].as_i64());
    Ok(snapshots)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn snapshot(value: &Value) -> Snapshot {
    let nanoseconds = value["nanoseconds"].as_u64().unwrap_or_default();
    Snapshot {
        id: text(&value["id"]),
        time: Instant {
            seconds: value["seconds"].as_i64().unwrap_or_default(),
            nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
        },
        hostname: text(&value["hostname"]),
        username: text(&value["username"]),
        tags: texts(&value["tags"]),
        paths: texts(&value["paths"]),
        program: None,
        files: None,
        bytes: None,
        bytes_added: None,
        bytes_stored: None,
        damaged: None,
    }
}

impl Guest for Component {
    type Repository = Files;

    async fn probe(_: String) -> Result<Rights, Error> {
        Ok(Rights {
            put: Answer::Yes,
            get: Answer::Yes,
            list: Answer::Yes,
            delete: Answer::Yes,
            overwrite: Answer::Unknown,
            put_if_absent: Answer::Unknown,
            versioned: Answer::No,
            object_lock: Answer::No,
            found: Instant {
                seconds: 1_700_000_000,
                nanoseconds: 0,
            },
            notes: Vec::new(),
        })
    }
}

impl GuestRepository for Files {
    async fn open(_: Caller, _: String, _: Access) -> Result<Repository, Error> {
        fs::metadata(mark()).map_err(|cause| failed("the store", &cause))?;
        Ok(Repository::new(Self))
    }

    async fn create(_: Caller, _: String) -> Result<Repository, Error> {
        if mark().exists() {
            return Err(Error::Exists("the store is there already".into()));
        }
        fs::write(mark(), "").map_err(|cause| failed("the store", &cause))?;
        Ok(Repository::new(Self))
    }

    fn identity(&self) -> Identity {
        Identity {
            id: "contract-0.2.0".into(),
            version: 1,
        }
    }

    async fn begin(&self, draft: Draft) -> Result<Writer, Error> {
        Ok(Taken::writer((!draft.dry_run).then_some(draft)))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(load()?.iter().map(snapshot).collect())
    }

    async fn read(&self, selection: Selection) -> Result<Reader, Error> {
        if !selection.paths.is_empty() || selection.levels.is_some() {
            return Err(Error::Unsupported("snapshots are read whole".into()));
        }
        let all = load()?;
        let found = all
            .iter()
            .find(|snapshot| text(&snapshot["id"]).starts_with(&selection.snapshot));
        let found = found.ok_or_else(|| Error::NotFound("there is no such snapshot".into()))?;
        let tree = Tree::from_json(&found["tree"]);
        let tree = tree.ok_or_else(|| Error::Corrupt("the snapshot is damaged".into()))?;
        Ok(Given::reader(tree))
    }

    async fn usage(&self, _: Subset) -> Result<Usage, Error> {
        Ok(Usage {
            objects: load()?.len() as u64,
            bytes: 0,
        })
    }

    async fn check(&self, depth: Depth) -> Result<Findings, Error> {
        let all = load()?;
        let damaged = all
            .iter()
            .filter(|snapshot| Tree::from_json(&snapshot["tree"]).is_none());
        let findings = damaged.map(|snapshot| Finding {
            severity: Severity::Error,
            what: "a snapshot is damaged".into(),
            snapshots: vec![text(&snapshot["id"])],
            paths: Vec::new(),
        });
        Ok(Findings {
            findings: findings.collect(),
            snapshots: all.len() as u64,
            objects: all.len() as u64,
            bytes_read: match depth {
                Depth::Structure => 0,
                Depth::Data(_) => all.iter().map(|all| all.to_string().len() as u64).sum(),
            },
        })
    }

    async fn forget(&self, ids: Vec<String>) -> Result<(), Error> {
        for id in ids {
            fs::remove_file(file(&id)).map_err(|cause| failed(&id, &cause))?;
        }
        Ok(())
    }

    async fn reclaim(&self, _: ReclaimOptions, _: bool) -> Result<Reclaimed, Error> {
        Ok(Reclaimed {
            objects_removed: 0,
            bytes_removed: 0,
            objects_written: 0,
            bytes_written: 0,
            bytes_left: 0,
            bytes_unused: 0,
        })
    }

    async fn close(_: Repository) -> Result<(), Error> {
        Ok(())
    }
}

impl maintenance::Guest for Component {
    async fn unlock(_: Caller, _: String, _: bool) -> Result<u64, Error> {
        Ok(0)
    }
}
