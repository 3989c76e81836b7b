//! Removing snapshots that a policy does not keep, and what only they needed.

use jiff::tz::TimeZone;

use super::snapshot::list;
use super::{Class, Context, Filter, Freed, Rights, Snapshot, probe};
use crate::error::{Error, Kind, Result};
use crate::plugin::{Repository, Spec};
use crate::retention::{Policy, Reason};

/// A store that is to be pruned.
#[derive(Clone, Debug)]
pub struct Prune {
    /// The store.
    pub sink: Spec,
    /// What stays.
    pub policy: Policy,
    /// All other snapshots stay anyhow.
    pub filter: Filter,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

/// How a pruning went.
#[derive(Clone, Debug)]
pub enum Pruned {
    /// Nothing may be removed there.
    Skipped(Rights),
    /// It was done, or would be.
    Done(PruneReport),
}

/// What became of a store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PruneReport {
    /// The snapshots that pass the filter, the oldest first.
    pub snapshots: Vec<Judged>,
    /// What that meant for what is stored.
    pub store: Freed,
}

/// A snapshot, and why it stays.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Judged {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Empty for one that goes.
    pub kept: Vec<Reason>,
}

/// Prunes a store, where anything may be removed from it.
pub async fn prune(context: &Context, request: Prune) -> Result<Pruned> {
    if request.policy.is_empty() {
        let empty = Error::new(Kind::Config, "the retention keeps no snapshot at all");
        return Err(empty.help("keep at least one: keep-last = 1"));
    }
    match probe(context, &request.sink).await {
        Ok(rights) if matches!(rights.class(), Class::AppendOnly | Class::WriteOnly) => {
            return Ok(Pruned::Skipped(rights));
        }
        Ok(_) => {}
        // Then it shows.
        Err(error) if error.kind() == Kind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let repository = Repository::open(context, &request.sink).await?;
    let pruned = prune_repository(&repository, &request);
    repository
        .use_and_close(context, pruned)
        .await
        .map(Pruned::Done)
}

async fn prune_repository(repository: &Repository, request: &Prune) -> Result<PruneReport> {
    let snapshots = list(repository, &request.filter).await?;
    let reasons = request.policy.judge(&snapshots, &TimeZone::system());
    let snapshots: Vec<_> = snapshots
        .into_iter()
        .zip(reasons)
        .map(|(snapshot, kept)| Judged { snapshot, kept })
        .collect();
    let going = snapshots.iter().filter(|judged| judged.kept.is_empty());
    let forget: Vec<_> = going.map(|judged| judged.snapshot.id.clone()).collect();
    if snapshots.is_empty() {
        return Ok(PruneReport {
            snapshots,
            store: Freed::default(),
        });
    }
    let store = repository.prune(forget, request.dry_run).await?;
    Ok(PruneReport { snapshots, store })
}
