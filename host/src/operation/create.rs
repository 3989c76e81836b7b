//! Making a store.

use tracing::{Instrument as _, instrument};

use super::{Context, Identity};
use crate::error::Result;
use crate::plugin::{Repository, Spec};

/// Makes a new store.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "init"))]
pub async fn create(context: &Context, sink: &Spec) -> Result<Identity> {
    let created = async {
        let repository = Repository::create(context, sink).await?;
        let identity = repository.identity();
        repository.use_and_close(context, identity).await
    };
    created.instrument(sink.span()).await
}
