//! Making a store.

use super::{Context, Identity};
use crate::error::Result;
use crate::plugin::{Repository, Spec};

/// Makes a new store.
pub async fn create(context: &Context, sink: &Spec) -> Result<Identity> {
    let repository = Repository::create(context, sink).await?;
    repository
        .use_and_close(context, repository.identity())
        .await
}
