//! Removing locks that nobody holds any more.

use serde::Serialize;

use super::{Context, Verdict};
use crate::error::Result;
use crate::plugin::{self, Spec};

/// How an unlocking went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The sink's name.
    pub sink: String,
    /// Locks that were removed.
    pub removed: u64,
}

impl Report {
    /// What it did is all that was asked for.
    pub fn verdict(&self) -> Verdict {
        Verdict::Done
    }
}

/// Removes the locks of processes that are gone; with `all`, every lock.
pub async fn unlock(context: &Context, sink: &Spec, all: bool) -> Result<Report> {
    let removed = plugin::unlock(context, sink, all).await?;
    Ok(Report {
        sink: sink.name.clone(),
        removed,
    })
}
