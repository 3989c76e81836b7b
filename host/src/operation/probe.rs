//! What a sink's credentials, or its directory, allow.

use super::{Context, Rights};
use crate::error::Result;
use crate::plugin::{self, Spec};

/// Finds out what can be done with a sink, anew.
pub async fn probe(context: &Context, sink: &Spec) -> Result<Rights> {
    plugin::probe(context, sink).await
}
