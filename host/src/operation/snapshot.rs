//! Snapshots: what is known of them, and which one is meant.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::{Context, open};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};
use crate::snapshot::{Filter, Snapshot, SnapshotRef};

/// The snapshots of a store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Snapshots {
    /// The sink's name.
    pub sink: String,
    /// The snapshots that were asked for, the oldest first.
    pub snapshots: Vec<Snapshot>,
}

impl super::Report for Snapshots {}

/// Lists the snapshots that pass the filter, the oldest first; of more than `newest` only the
/// newest so many.
#[instrument(
    name = "run",
    level = "error",
    skip_all,
    fields(operation = "snapshots")
)]
pub async fn snapshots(
    context: &Context,
    sink: &Spec,
    filter: &Filter,
    newest: Option<usize>,
) -> Result<Snapshots> {
    let listed = async {
        let repository = Repository::open(context, sink, Access::ReadWrite).await?;
        let listing = list(&repository, filter);
        repository.use_and_close(context, listing).await
    };
    let mut snapshots = listed.instrument(sink.span()).await?;
    if let Some(newest) = newest {
        snapshots.drain(..snapshots.len().saturating_sub(newest));
    }
    Ok(Snapshots {
        sink: sink.name.clone(),
        snapshots,
    })
}

/// The one snapshot that is meant, found without reading it.
#[instrument(
    name = "run",
    level = "error",
    skip_all,
    fields(operation = "snapshots")
)]
pub async fn find(context: &Context, sink: &Spec, wanted: &SnapshotRef) -> Result<Snapshot> {
    let repository = open(context, sink, Access::ReadWrite).await?;
    let picked = pick(&repository, wanted);
    repository.use_and_close(context, picked).await
}

/// What is at this path of a folder, as a path from the top of the snapshot.
pub(super) fn within(folder: Option<&[u8]>, path: &[u8]) -> Vec<u8> {
    match folder {
        Some(folder) => [folder, b"/", path].concat(),
        None => path.to_vec(),
    }
}

/// How many names a path has.
pub(super) fn depth(path: &[u8]) -> usize {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty()).count()
}

/// The one snapshot that is meant.
pub(super) async fn pick(repository: &Repository, wanted: &SnapshotRef) -> Result<Snapshot> {
    let missing = |message: String| {
        Error::new(Kind::NotFound, message)
            .help("`tthost snapshots` lists all snapshots")
            .of(repository.subject())
    };
    match wanted {
        SnapshotRef::Latest(filter) => {
            let newest = list(repository, filter)
                .await?
                .into_iter()
                .max_by_key(|snapshot| snapshot.time);
            newest.ok_or_else(|| {
                missing(match &filter.source {
                    Some(source) => format!("it has no snapshot of {}", source.name),
                    None => "no snapshot matches".into(),
                })
            })
        }
        SnapshotRef::Id(prefix) => {
            let mut matching = list(repository, &Filter::default()).await?;
            matching.retain(|snapshot| snapshot.id.starts_with(prefix.as_str()));
            match matching.len() {
                0 => Err(missing(format!("there is no snapshot {prefix}"))),
                1 => Ok(matching.remove(0)),
                count => Err(missing(format!("{count} snapshots begin with {prefix}"))),
            }
        }
    }
}

/// The snapshots of a store that pass the filter, the oldest first.
pub(super) async fn list(repository: &Repository, filter: &Filter) -> Result<Vec<Snapshot>> {
    let mut snapshots = repository.snapshots().await?;
    snapshots.retain(|snapshot| filter.passes(snapshot));
    snapshots.sort_by_key(|snapshot| snapshot.time);
    Ok(snapshots)
}
