//! The sink that a new store gets: a store keeps objects, and the sink keeps a repository in them.

use crate::error::Result;
use crate::grant::Grants;
use crate::operation::Context;
use crate::plugin::{Description, Origin};

/// The bundled sink that stores in stores.
const SINK: &str = "restic-sink";

/// What that sink says of itself. Of what it asks for, it has the store.
pub async fn around(context: &Context) -> Result<Description> {
    let grants = Grants {
        store: true,
        ..Grants::default()
    };
    let origin = Origin::Bundled(SINK.into());
    let described = context.runtime.describe(&origin, &grants);
    context.unless_cancelled(described).await
}
