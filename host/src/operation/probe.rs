//! Detects what the credentials or the directory of a sink allow.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};

use super::verdict::Verdict;
use super::{Class, Context, Rights, advice};
use crate::error::{Kind, Result};
use crate::plugin::{self, Spec};

/// The permissions of a sink's credentials or of its directory.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The sink's name.
    pub sink: String,
    /// The class of these permissions.
    pub class: Class,
    /// The permissions that the probe found.
    pub rights: Rights,
    /// The operations that work with these permissions.
    pub works: &'static str,
    /// The operations that do not work.
    pub does_not_work: &'static str,
    /// Recommendations and remarks.
    pub advice: Vec<String>,
}

/// Finds out what can be done with a sink, anew.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "probe"))]
pub async fn probe(context: &Context, sink: &Spec) -> Result<Report> {
    let rights = plugin::probe(context, sink).instrument(sink.span()).await?;
    let class = rights.class();
    Ok(Report {
        sink: sink.name.clone(),
        class,
        works: advice::works(class),
        does_not_work: advice::does_not_work(class),
        advice: advice::advice(&rights),
        rights,
    })
}

impl super::Report for Report {
    /// A sink that is of no use is a failure.
    fn verdict(&self) -> Verdict {
        match self.class {
            Class::None => Verdict::Failed(Kind::Denied),
            _ => Verdict::Done,
        }
    }
}

/// What a sink's credentials allow, where that is to store and not to read. Where they allow nothing, that shows.
pub(super) async fn unreadable(context: &Context, sink: &Spec) -> Result<Option<Class>> {
    let rights = plugin::probe(context, sink).instrument(sink.span());
    match rights.await.map(|rights| rights.class()) {
        Ok(class @ Class::WriteOnly) => Ok(Some(class)),
        Ok(_) => Ok(None),
        // Then it shows.
        Err(error) if error.kind() == Kind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}
