//! `tthost forget`.

use clap::Args;
use vec1::Vec1;

use super::Session;
use super::output::Answer;
use super::prune::prune_as;
use super::retention::ByPolicy;
use crate::config::{ForgetRequest, PruneRequest};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// Ids, their first digits, or `latest`; without them, the policy says which snapshots go
    #[arg(
        value_name = "SNAPSHOT",
        conflicts_with_all = ["ByPolicy", "Keep", "PathFilter", "Filter"]
    )]
    snapshots: Vec<String>,
    /// A sink to forget snapshots of; repeatable
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    sink: Vec<String>,
    /// Also forget snapshots of every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    /// List the snapshots that would go, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Also remove the data that only they needed, as `tthost prune` does
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    by_policy: ByPolicy,
}

/// Removes snapshots, and leaves what they needed.
pub(super) async fn forget(session: &Session<'_>, arguments: Forget) -> Result<Answer> {
    let request = PruneRequest {
        sinks: arguments.sink,
        offsite: arguments.offsite,
        forget: match Vec1::try_from_vec(arguments.snapshots) {
            Ok(words) => ForgetRequest::Named(words),
            Err(_) => arguments.by_policy.into(),
        },
        reclaim: arguments.prune,
        dry_run: arguments.dry_run,
    };
    prune_as(session, request).await
}
