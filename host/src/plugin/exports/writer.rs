//! `transfer.writer`: a tree that goes into a plugin.

use std::collections::HashSet;
use std::sync::Arc;

use wasmtime::component::ResourceAny;

use crate::contract::{Batch, Completeness, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;
use crate::plugin::Instance;
use crate::plugin::stall::unless_stalled;
use crate::plugin::streams;

/// A snapshot that is being written, or a restoration. Dropping it before it was committed gives
/// it up: the plugin gets the time of [`GRACE`](crate::plugin::GRACE) to tidy up.
pub(crate) struct PluginWriter {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    /// The plugin has not got it back.
    is_open: bool,
}

impl PluginWriter {
    /// The writer of this plugin.
    pub(super) fn new(plugin: Arc<Instance>, handle: ResourceAny) -> Self {
        Self {
            plugin,
            handle,
            is_open: true,
        }
    }

    /// How many large files it can take at once, of the number that is wanted.
    pub(crate) async fn concurrency(&self, wanted: u32) -> Result<u32> {
        let handle = self.handle;
        let asked = self.plugin.ask("concurrency", move |accessor, exports| {
            Box::pin(async move {
                let writer = exports.common.tthost_backup_transfer().writer();
                writer.call_concurrency(accessor, handle, wanted).await
            })
        });
        unless_stalled(&self.plugin, || false, asked).await
    }

    /// Offers entries and answers the numbers of those whose contents the plugin needs.
    pub(crate) async fn offer(&mut self, entries: Batch) -> Result<HashSet<u64>> {
        let handle = self.handle;
        let offered = self.plugin.call("offer", move |accessor, exports| {
            Box::pin(async move {
                let entries = entries.iter().cloned().map(Into::into).collect();
                let writer = exports.common.tthost_backup_transfer().writer();
                writer.call_offer(accessor, handle, entries).await
            })
        });
        let needs = unless_stalled(&self.plugin, || false, offered).await?;
        Ok(needs.into_iter().collect())
    }

    /// Hands over small contents, whole.
    pub(crate) async fn put_small(&mut self, files: Vec<SmallFile>) -> Result<()> {
        let handle = self.handle;
        let files = files.into_iter().map(Into::into).collect();
        let put = self.plugin.call("put-small", move |accessor, exports| {
            Box::pin(async move {
                let writer = exports.common.tthost_backup_transfer().writer();
                writer.call_put_small(accessor, handle, files).await
            })
        });
        unless_stalled(&self.plugin, || false, put).await
    }

    /// Hands over the contents of one file.
    pub(crate) async fn put(&self, id: u64, content: Content) -> Result<()> {
        let handle = self.handle;
        let (backlog, verdict) = (content.bytes.backlog(), content.verdict.clone());
        let put = self.plugin.call("put", move |accessor, exports| {
            Box::pin(async move {
                let (stream, verdict) =
                    accessor.with(|mut access| streams::feed(&mut access, content))?;
                let writer = exports.common.tthost_backup_transfer().writer();
                writer.call_put(accessor, handle, id, stream, verdict).await
            })
        });
        // With nothing to take, or no verdict to hear, it waits for the source.
        let waits =
            move || backlog.is_empty() && (!backlog.is_closed() || verdict.peek().is_none());
        unless_stalled(&self.plugin, waits, put).await
    }

    /// Lets the plugin make the tree permanent.
    pub(crate) async fn commit(mut self, completeness: Completeness) -> Result<Receipt> {
        self.is_open = false;
        let handle = self.handle;
        let commit = self.plugin.call("commit", move |accessor, exports| {
            Box::pin(async move {
                let writer = exports.common.tthost_backup_transfer().writer();
                writer
                    .call_commit(accessor, handle, completeness.into())
                    .await
            })
        });
        let receipt = unless_stalled(&self.plugin, || false, commit).await?;
        Receipt::try_from(receipt).map_err(|invalid| {
            Error::new(Kind::Plugin, invalid.to_string()).of(self.plugin.subject())
        })
    }
}

impl Drop for PluginWriter {
    fn drop(&mut self) {
        if self.is_open {
            self.plugin.clone().discard(self.handle);
        }
    }
}
