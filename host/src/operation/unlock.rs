//! Removes stale locks.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::Context;
use crate::error::Result;
use crate::plugin::{self, Spec};

/// The result of unlocking.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The sink's name.
    pub sink: String,
    /// The number of removed locks.
    pub removed: u64,
}

impl super::Report for Report {}

/// Removes the locks of processes that are gone; with `all`, every lock.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "unlock"))]
pub async fn unlock(context: &Context, sink: &Spec, all: bool) -> Result<Report> {
    let unlocking = plugin::unlock(context, sink, all);
    let removed = unlocking.instrument(sink.span()).await?;
    Ok(Report {
        sink: sink.name.clone(),
        removed,
    })
}
