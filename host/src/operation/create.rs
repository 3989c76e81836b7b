//! Creates a repository, or takes over an existing one.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::{Context, Identity};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

/// A store that is there and opens with the password.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Created {
    /// Which one it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether it was made just now.
    #[serde(rename = "created")]
    pub is_new: bool,
}

/// Makes a new store. One that is there already is taken over, if the password is the right one.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "init"))]
pub async fn create(context: &Context, sink: &Spec) -> Result<Created> {
    let created = async {
        let (repository, is_new) = match Repository::create(context, sink).await {
            Ok(repository) => (repository, true),
            Err(error) if error.kind() == Kind::Exists => (adopt(context, sink).await?, false),
            Err(error) => return Err(error),
        };
        let identity = repository.identity();
        let identity = repository.use_and_close(context, identity).await?;
        Ok(Created { identity, is_new })
    };
    created.instrument(sink.span()).await
}

async fn adopt(context: &Context, sink: &Spec) -> Result<Repository> {
    let opened = Repository::open(context, sink, Access::ReadOnly).await;
    opened.map_err(|error: Error| match error.kind() {
        Kind::Unauthenticated => error.help(
            "there is a repository already, and it stays as it is: give the password that it was made with, in RESTIC_PASSWORD or with --password-file",
        ),
        _ => error,
    })
}
