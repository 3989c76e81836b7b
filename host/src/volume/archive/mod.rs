//! A volume whose files are not on this machine, or not to be reached: it is read through the
//! engine's archives (<https://docs.docker.com/reference/api/engine/>, "get an archive of a
//! filesystem resource in a container").
//!
//! An archive brings names and contents in one pass, and a tree is asked for its names first.
//! So there are two passes and no file in between: one that notes what there is, and one that
//! goes along with what is asked for, in the same order. What is asked for out of order comes in
//! an archive of its own.
//!
//! | module | holds |
//! |---|---|
//! | `entry` | what an entry of an archive says |
//! | `fingerprint` | the number that stands in for an inode |
//! | `index` | the first pass: names and metadata |
//! | `pass` | the second pass: contents |
//! | `view` | the tree that all this is |

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
