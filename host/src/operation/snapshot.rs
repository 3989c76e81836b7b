//! Snapshots: what is known of them, and which one is meant.

use super::Context;
use crate::error::{Error, Kind, Result};
use crate::plugin::{Repository, Spec};
use crate::snapshot::{Filter, Snapshot, Which};

/// Lists the snapshots that pass the filter, the oldest first.
pub async fn snapshots(context: &Context, sink: Spec, filter: &Filter) -> Result<Vec<Snapshot>> {
    let repository = Repository::open(context, &sink).await?;
    repository
        .use_and_close(context, list(&repository, filter))
        .await
}

/// Finds the snapshot that a restoration would read, without reading it.
pub async fn find(context: &Context, sink: Spec, which: &Which) -> Result<Snapshot> {
    let repository = Repository::open(context, &sink).await?;
    repository
        .use_and_close(context, pick(&repository, which))
        .await
}

/// The one snapshot that is meant.
pub(super) async fn pick(repository: &Repository, which: &Which) -> Result<Snapshot> {
    let missing = |message: String| {
        Error::new(Kind::NotFound, message)
            .help("`tthost snapshots` lists all snapshots")
            .of(repository.subject())
    };
    match which {
        Which::Latest(filter) => {
            let newest = list(repository, filter)
                .await?
                .into_iter()
                .max_by_key(|snapshot| snapshot.time);
            newest.ok_or_else(|| missing("no snapshot matches".into()))
        }
        Which::Id(prefix) => {
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
