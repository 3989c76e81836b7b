//! Volumes whose files are not accessible on this machine. They are read through the engine's
//! archives (<https://docs.docker.com/reference/api/engine/>, "get an archive of a
//! filesystem resource in a container").
//!
//! An archive contains names and contents together, and a reader needs the names first. So there are two passes and no temporary
//! file: the first records the entries, and the second provides contents in the same order. Contents that are requested out of
//! order come from an additional archive.
//!
//! | module | holds |
//! |---|---|
//! | an entry of an archive |
//! | a substitute for inode numbers |
//! | `index` | the first pass: names and metadata |
//! | `pass` | the second pass: contents |
//! | the tree of an archive |

mod entry;
mod fingerprint;
mod index;
mod pass;
mod view;

use std::io;
use std::sync::Arc;

use super::engine::{Engine, Helper};
use crate::error::{Error, Kind, Result};
use crate::plugin::Context;
use crate::tree::ReadDir;
use index::Index;
use view::Archive;

/// Containers that have the volume. An engine gives one archive of each at a time.
pub(super) struct Helpers {
    /// For the passes.
    pub(super) along: Helper,
    /// For what is asked for out of order.
    pub(super) aside: Helper,
}

/// Looks through a volume with the help of containers that have it, and answers its top.
pub(super) async fn open(
    context: &Context,
    subject: &str,
    engine: Engine,
    helpers: Helpers,
) -> Result<Arc<dyn ReadDir>> {
    let archive = engine.archive(&helpers.along, b"");
    let progress = |bytes| {
        let what = "bytes listed";
        context.events.progress(subject, what, bytes, None);
    };
    let index = async {
        Index::read(archive, progress).await.map_err(|cause| {
            let text = "the Docker engine does not send an archive of it";
            Error::new(Kind::Unavailable, text).caused_by(cause)
        })
    };
    let index = context.unless_cancelled(index).await?;
    Ok(Archive::new(engine, helpers, index).top())
}

/// The error of an archive that makes no sense.
fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive is invalid: {what}"),
    )
}
