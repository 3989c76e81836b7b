//! Snapshots: their description, and how a command selects them.

mod tag_set;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use vec1::Vec1;

use crate::contract::{Draft, SnapshotId};
use crate::json;

pub use tag_set::TagSet;

/// The tag of a snapshot that something is missing in, or changed while it was read.
pub const INCOMPLETE: &str = "incomplete";

/// How far the clock of another machine may be ahead of this one's.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A snapshot in a store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(into = "Document")]
#[schemars(with = "Document")]
pub struct Snapshot {
    /// The draft as the sink recorded it, with its texts unchanged. A copy of the snapshot gets it.
    pub(crate) recorded: Draft,
    /// Its full id.
    pub id: SnapshotId,
    /// When it was taken.
    pub time: Timestamp,
    /// The host whose data it is.
    pub hostname: String,
    /// The user name of the process that made it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The paths that it holds.
    pub paths: Vec<String>,
    /// Name and version of the program that made it, if recorded.
    pub program: Option<String>,
    /// The number of files in its tree, if recorded.
    pub files: Option<u64>,
    /// The number of bytes in its tree, if recorded.
    pub bytes: Option<u64>,
    /// The number of bytes that it added to the store before compression, if recorded.
    pub bytes_added: Option<u64>,
    /// The same as stored.
    pub bytes_stored: Option<u64>,
    /// Why only its id is known.
    pub damaged: Option<String>,
}

/// A snapshot in a report. The names are restic's.
#[derive(Serialize, JsonSchema)]
struct Document {
    /// Its full id.
    id: SnapshotId,
    /// The first eight digits of its id.
    short_id: String,
    /// When it was taken.
    #[serde(serialize_with = "json::time")]
    time: Timestamp,
    /// The host whose data it is.
    hostname: String,
    /// The user name of the process that made it.
    username: String,
    /// Its tags.
    tags: Vec<String>,
    /// The paths that it holds.
    paths: Vec<String>,
    /// Name and version of the program that made it; null where it does not say so.
    program_version: Option<String>,
    /// The counts of the program; a number that the snapshot does not record is null.
    summary: Summary,
}

/// The counts that a snapshot records.
#[derive(Serialize, JsonSchema)]
struct Summary {
    /// Files of its tree.
    total_files_processed: Option<u64>,
    /// Bytes of its tree.
    total_bytes_processed: Option<u64>,
    /// Bytes that it added to the store, before compression.
    data_added: Option<u64>,
    /// The same as stored.
    data_added_packed: Option<u64>,
}

impl From<Snapshot> for Document {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            short_id: snapshot.id.short().to_owned(),
            id: snapshot.id,
            time: snapshot.time,
            hostname: snapshot.hostname,
            username: snapshot.username,
            tags: snapshot.tags,
            paths: snapshot.paths,
            program_version: snapshot.program,
            summary: Summary {
                total_files_processed: snapshot.files,
                total_bytes_processed: snapshot.bytes,
                data_added: snapshot.bytes_added,
                data_added_packed: snapshot.bytes_stored,
            },
        }
    }
}

/// Which snapshots a command means.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of one of these hosts.
    pub hosts: Option<Vec1<String>>,
    /// Selects snapshots with all tags of one of these sets; all snapshots if there are no sets.
    pub tags: Vec<TagSet>,
    /// Only with all of these paths.
    pub paths: Vec<String>,
    /// Only of this source.
    pub source: Option<OfSource>,
}

/// How snapshots of a source are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfSource {
    /// The source's name, for messages.
    pub name: String,
    /// Its snapshots have all of these tags.
    pub tags: Vec<String>,
    /// What it reads, where that is known beforehand. A snapshot of one of these paths is of this source
    /// too, whatever the source was called then.
    pub paths: Vec<String>,
}

/// The one snapshot that is meant.
#[derive(Clone, Debug)]
pub enum SnapshotRef {
    /// The newest that passes the filter.
    Latest(Filter),
    /// The one with this id or unique prefix.
    Id(String),
}

/// What an operator writes to name a snapshot, `ID`, or a folder of one, `ID:FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFolder {
    /// An id, the beginning of one, or `latest`.
    pub snapshot: String,
    /// The folder that is taken for the top of the snapshot.
    pub folder: Option<Vec<u8>>,
}

impl From<OsString> for SnapshotFolder {
    fn from(text: OsString) -> Self {
        let bytes = text.into_vec();
        let mut parts = bytes.splitn(2, |byte| *byte == b':');
        let snapshot = parts.next().unwrap_or_default();
        Self {
            snapshot: String::from_utf8_lossy(snapshot).into_owned(),
            folder: parts.next().map(<[u8]>::to_vec),
        }
    }
}

impl SnapshotRef {
    /// What an operator writes: `latest` for the newest that passes the filter, or an id or its
    /// first digits.
    pub fn new(text: &str, filter: Filter) -> Self {
        match text {
            "latest" => Self::Latest(filter),
            id => Self::Id(id.to_owned()),
        }
    }
}

impl Snapshot {
    /// A snapshot of which only the id is known, and the reason.
    pub(crate) fn damaged(id: SnapshotId, why: String) -> Self {
        Self {
            recorded: Draft::default(),
            id,
            time: Timestamp::UNIX_EPOCH,
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
        }
    }

    /// Whether it is dated in the future: some clock was wrong when it was taken.
    pub fn is_from_future(&self, now: Timestamp) -> bool {
        self.time.duration_since(now) > SKEW
    }

    /// The newest of these. One that is dated in the future counts where there is no other.
    pub fn newest<'a>(
        snapshots: impl IntoIterator<Item = &'a Self>,
        now: Timestamp,
    ) -> Option<&'a Self> {
        let snapshots = snapshots.into_iter();
        snapshots.max_by_key(|snapshot| (!snapshot.is_from_future(now), snapshot.time))
    }

    /// Whether something is missing in it, or changed while it was read.
    pub fn is_incomplete(&self) -> bool {
        self.tags.iter().any(|tag| tag == INCOMPLETE)
    }
}

impl Filter {
    /// Whether the filter selects this snapshot. Unknown for a damaged one.
    pub fn passes(&self, snapshot: &Snapshot) -> bool {
        snapshot.damaged.is_none()
            && self
                .hosts
                .as_ref()
                .is_none_or(|hosts| hosts.contains(&snapshot.hostname))
            && (self.tags.is_empty() || self.tags.iter().any(|set| set.is_in(&snapshot.tags)))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
            && self
                .source
                .as_ref()
                .is_none_or(|source| source.is_source_of(snapshot))
    }
}

impl OfSource {
    /// Whether this is the source of the snapshot.
    pub fn is_source_of(&self, snapshot: &Snapshot) -> bool {
        self.tags.iter().all(|tag| snapshot.tags.contains(tag))
            || self.paths.iter().any(|path| snapshot.paths.contains(path))
    }
}

/// A snapshot of this time, for tests.
#[cfg(test)]
pub(crate) fn sample(time: &str) -> Snapshot {
    let id = SnapshotId::new(time.to_owned()).expect("it is an id");
    Snapshot {
        time: time.parse().expect("it is a time"),
        damaged: None,
        ..Snapshot::damaged(id, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_is_dated_in_the_future_is_the_newest_only_where_it_is_alone() {
        let now = "2026-06-01T12:00:00Z".parse().expect("it is a time");
        let [old, new, ahead, future] = [
            "2026-05-30T12:00:00Z",
            "2026-06-01T11:00:00Z",
            "2026-06-01T12:01:00Z",
            "2040-01-01T00:00:00Z",
        ]
        .map(sample);
        for (snapshots, newest) in [
            (vec![&old, &new, &future], Some(&new)),
            (vec![&future, &old], Some(&old)),
            (vec![&old, &ahead, &new], Some(&ahead)),
            (vec![&future], Some(&future)),
            (vec![], None),
        ] {
            let found = Snapshot::newest(snapshots, now);
            assert_eq!(
                found.map(|found| &found.id),
                newest.map(|newest| &newest.id)
            );
        }
    }

    #[test]
    fn what_follows_a_colon_is_a_folder_of_the_snapshot() {
        for (text, snapshot, folder) in [
            (&b"latest"[..], "latest", None),
            (b"1a2b:/srv/www", "1a2b", Some(&b"/srv/www"[..])),
            (b"latest:a:\xff", "latest", Some(b"a:\xff")),
            (b"latest:", "latest", Some(b"")),
        ] {
            let named = SnapshotFolder::from(OsString::from_vec(text.to_vec()));
            assert_eq!(named.snapshot, snapshot);
            assert_eq!(named.folder.as_deref(), folder);
        }
    }
}
