//! Checking a store.

use super::{Context, Depth, Findings};
use crate::error::Result;
use crate::plugin::{Repository, Spec};

/// Checks a store.
pub async fn check(context: &Context, sink: Spec, depth: Depth) -> Result<Findings> {
    let repository = Repository::open(context, &sink).await?;
    repository
        .use_and_close(context, repository.check(depth))
        .await
}
