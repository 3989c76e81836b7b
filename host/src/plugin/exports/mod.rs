//! What plugins export, as the host uses it: one file for each resource or interface. Nothing outside of
//! [`super`] speaks wasmtime's interface.

mod objects;
mod reader;
mod repository;
mod sink;
mod source;
mod writer;

use tokio::time::timeout;
use tracing::warn;

use super::{GRACE, Instance};
use crate::error::{Kind, Result};
use crate::text::printable;

pub(crate) use objects::ObjectStore;
pub(crate) use reader::PluginReader;
pub(crate) use repository::{Reclaim, Repository};
pub(crate) use sink::{probe, unlock};
pub(crate) use source::{Restoration, drill, open, restore, survey, tidy};
pub(crate) use writer::PluginWriter;

/// Lets a plugin end its work in good order. What it says of that does not change what was achieved, so it is a message.
async fn close(plugin: &Instance, closing: impl Future<Output = Result<()>>) {
    let closing = async {
        // A call that nobody waits for any more still uses what is to be closed.
        plugin.quiet().await;
        closing.await
    };
    let problem = match timeout(GRACE, closing).await {
        Ok(Ok(())) => return,
        // Why it broke down has been reported.
        Ok(Err(error)) if error.kind() == Kind::Plugin => return,
        Ok(Err(error)) => format!("it did not close cleanly: {}", error.message()),
        Err(_) => "it did not close in time".to_owned(),
    };
    warn!(subject = plugin.subject(), "{}", printable(&problem));
}
