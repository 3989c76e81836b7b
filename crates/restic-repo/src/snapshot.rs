//! Snapshots. Source: restic's `snapshots` files.

use serde::{Deserialize, Serialize};

use crate::tree::time;
use crate::{Id, Instant};

/// A snapshot as it is stored. The fields stand in the order in which restic writes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct File {
    #[serde(with = "time")]
    pub(crate) time: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Id>,
    pub(crate) tree: Id,
    #[serde(default)]
    pub(crate) paths: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) username: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<Summary>,
}

/// What was done for a snapshot; restic writes it since 0.17.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    #[serde(with = "time")]
    pub(crate) backup_start: Instant,
    #[serde(with = "time")]
    pub(crate) backup_end: Instant,
    pub(crate) files_new: u64,
    pub(crate) files_changed: u64,
    pub(crate) files_unmodified: u64,
    pub(crate) dirs_new: u64,
    pub(crate) dirs_changed: u64,
    pub(crate) dirs_unmodified: u64,
    pub(crate) data_blobs: u64,
    pub(crate) tree_blobs: u64,
    pub(crate) data_added: u64,
    pub(crate) data_added_packed: u64,
    pub(crate) total_files_processed: u64,
    pub(crate) total_bytes_processed: u64,
}

/// A snapshot, before its tree is read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub id: Id,
    /// The time that it bears.
    pub time: Instant,
    /// The host whose data it is.
    pub hostname: String,
    /// The user who took it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The paths that it holds.
    pub paths: Vec<String>,
    /// Name and version of the program that made it, where it said so.
    pub program: Option<String>,
    /// Files of its tree, where it says so.
    pub files: Option<u64>,
    /// Bytes of its tree, where it says so.
    pub bytes: Option<u64>,
    /// Bytes that it added, before compression, where it says so.
    pub bytes_added: Option<u64>,
    /// The same as stored.
    pub bytes_stored: Option<u64>,
    /// Why nothing is known of it but its name.
    pub damaged: Option<String>,
    /// The tree at its top.
    pub(crate) tree: Id,
}

impl Snapshot {
    pub(crate) fn new(id: Id, file: File) -> Self {
        let summary = file.summary.as_ref();
        Self {
            id,
            time: file.time,
            tags: file.tags.unwrap_or_default(),
            paths: file.paths.unwrap_or_default(),
            program: file.program_version,
            files: summary.map(|summary| summary.total_files_processed),
            bytes: summary.map(|summary| summary.total_bytes_processed),
            bytes_added: summary.map(|summary| summary.data_added),
            bytes_stored: summary.map(|summary| summary.data_added_packed),
            hostname: file.hostname,
            username: file.username,
            damaged: None,
            tree: file.tree,
        }
    }

    /// One whose file cannot be read.
    pub(crate) fn damaged(id: Id, why: String) -> Self {
        Self {
            id,
            time: Instant::default(),
            hostname: String::new(),
            username: String::new(),
            tags: Vec::new(),
            paths: Vec::new(),
            program: None,
            files: None,
            bytes: None,
            bytes_added: None,
            bytes_stored: None,
            damaged: Some(why),
            tree: Id([0; 32]),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
