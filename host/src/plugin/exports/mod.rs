//! What plugins export, as the host uses it: one file for each resource or interface. Nothing outside of
//! [`super`] speaks wasmtime's interface.

mod objects;
mod reader;
mod repository;
mod sink;
mod source;
mod writer;

use tracing::warn;

use super::Instance;
use crate::error::{Error, Kind, Result};
use crate::text::printable;

pub(crate) use objects::ObjectStore;
pub(crate) use reader::PluginReader;
pub(crate) use repository::{Reclaim, Repository};
pub(crate) use sink::{probe, unlock};
pub(crate) use source::{Restoration, clean_up, drill, open, restore, survey};
pub(crate) use writer::PluginWriter;

/// Lets a plugin end its work in good order, and answers what it says of that.
async fn try_close(plugin: &Instance, closing: impl Future<Output = Result<()>>) -> Result<()> {
    let closing = async {
        // A call that nobody waits for any more still uses what is to be closed.
        plugin.quiet().await;
        closing.await
    };
    let unclean = |error: Error| match error.kind() {
        Kind::Plugin => error,
        kind => {
            let text = format!("it did not close cleanly: {}", error.message());
            Error::new(kind, text).of(plugin.subject())
        }
    };
    let late = Error::new(Kind::Unavailable, "it did not close in time");
    match plugin.watch().over_end(Box::pin(closing)).await {
        Some(closed) => closed.map_err(unclean),
        None => Err(late.of(plugin.subject())),
    }
}

/// Says that something did not close: what was achieved stands, so it is a message.
fn close(subject: &str, closed: Result<()>) {
    match closed {
        Ok(()) => {}
        // Why it broke down has been reported.
        Err(error) if error.kind() == Kind::Plugin => {}
        Err(error) => warn!(subject, "{}", printable(&error.message())),
    }
}
