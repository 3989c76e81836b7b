//! Snapshots: what is known of them, and which one is meant.

use jiff::Timestamp;

use super::Context;
use super::store::Store;
use crate::error::{Error, Kind, Result};
use crate::plugin::Spec;
use crate::plugin::bindings::sink::exports::tthost::backup::sink;
use crate::plugin::printable;

/// A snapshot in a store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// Its full id.
    pub id: String,
    /// When it was taken.
    pub time: Timestamp,
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
    /// Bytes that it added to the store before compression, where it says so.
    pub bytes_added: Option<u64>,
    /// The same as stored.
    pub bytes_stored: Option<u64>,
}

/// Which snapshots a command means.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of these hosts, when not empty.
    pub hosts: Vec<String>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
    /// Only with all of these paths.
    pub paths: Vec<String>,
}

/// Which snapshot to restore.
#[derive(Clone, Debug)]
pub enum Which {
    /// The newest that passes the filter.
    Latest(Filter),
    /// The one with this id or unique prefix.
    Id(String),
}

/// Lists the snapshots that pass the filter, the oldest first.
pub async fn snapshots(context: &Context, sink: Spec, filter: &Filter) -> Result<Vec<Snapshot>> {
    let store = Store::open(context, &sink).await?;
    store.use_and_close(context, list(&store, filter)).await
}

/// Finds the snapshot that a restoration would read, without reading it.
pub async fn find(context: &Context, sink: Spec, which: &Which) -> Result<Snapshot> {
    let store = Store::open(context, &sink).await?;
    store.use_and_close(context, pick(&store, which)).await
}

/// The one snapshot that is meant.
pub(super) async fn pick(store: &Store, which: &Which) -> Result<Snapshot> {
    let missing = |message: String| {
        Error::new(Kind::NotFound, message)
            .help("`tthost snapshots` lists those that there are")
            .of(store.subject())
    };
    match which {
        Which::Latest(filter) => {
            let newest = list(store, filter)
                .await?
                .into_iter()
                .max_by_key(|snapshot| snapshot.time);
            newest.ok_or_else(|| missing("there is no snapshot that matches".into()))
        }
        Which::Id(prefix) => {
            let mut matching = list(store, &Filter::default()).await?;
            matching.retain(|snapshot| snapshot.id.starts_with(prefix.as_str()));
            match matching.len() {
                0 => Err(missing(format!("there is no snapshot {prefix}"))),
                1 => Ok(matching.remove(0)),
                count => Err(missing(format!("{count} snapshots begin with {prefix}"))),
            }
        }
    }
}

/// All snapshots of a store, as it tells them.
pub(super) async fn listed(store: &Store) -> Result<Vec<sink::Snapshot>> {
    let listed = store.call(|accessor, guest, repository| {
        Box::pin(async move { guest.call_snapshots(accessor, repository).await })
    });
    listed.await
}

/// The snapshots of a store that pass the filter, the oldest first.
pub(super) async fn list(store: &Store, filter: &Filter) -> Result<Vec<Snapshot>> {
    let mut snapshots = listed(store)
        .await?
        .into_iter()
        .map(Snapshot::try_from)
        .collect::<Result<Vec<_>>>();
    if let Ok(snapshots) = &mut snapshots {
        snapshots.retain(|snapshot| filter.passes(snapshot));
        snapshots.sort_by_key(|snapshot| snapshot.time);
    }
    snapshots.map_err(|error| error.of(store.subject()))
}

impl Filter {
    pub(super) fn passes(&self, snapshot: &Snapshot) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(&snapshot.hostname))
            && self.tags.iter().all(|tag| snapshot.tags.contains(tag))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
    }
}

impl TryFrom<sink::Snapshot> for Snapshot {
    type Error = Error;

    /// The texts come from a store that anybody may have written to.
    fn try_from(snapshot: sink::Snapshot) -> Result<Self> {
        let texts = |texts: Vec<String>| texts.iter().map(|text| printable(text)).collect();
        let nanoseconds = i32::try_from(snapshot.time.nanoseconds).ok();
        let time = nanoseconds
            .and_then(|nanoseconds| Timestamp::new(snapshot.time.seconds, nanoseconds).ok());
        Ok(Self {
            time: time.ok_or_else(|| {
                Error::new(
                    Kind::Corrupt,
                    format!(
                        "snapshot {} has a time that is none",
                        printable(&snapshot.id)
                    ),
                )
            })?,
            id: printable(&snapshot.id),
            hostname: printable(&snapshot.hostname),
            username: printable(&snapshot.username),
            tags: texts(snapshot.tags),
            paths: texts(snapshot.paths),
            program: snapshot.program.as_deref().map(printable),
            files: snapshot.files,
            bytes: snapshot.bytes,
            bytes_added: snapshot.bytes_added,
            bytes_stored: snapshot.bytes_stored,
        })
    }
}
