//! `transfer.writer`: a tree on its way into a plugin.

use std::collections::HashSet;
use std::sync::Arc;

use wasmtime::component::ResourceAny;

use crate::contract::{Batch, Completeness, Ending, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;
use crate::plugin::Instance;
use crate::plugin::streams::{self, Drained};

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
                let writer = exports.transfer()?.writer();
                writer.call_concurrency(accessor, handle, wanted).await
            })
        });
        asked.await
    }

    /// Offers entries and answers the numbers of those whose contents the plugin needs.
    pub(crate) async fn offer(&mut self, entries: Batch) -> Result<HashSet<u64>> {
        let handle = self.handle;
        let offered = self.plugin.call("offer", move |accessor, exports| {
            Box::pin(async move {
                let entries = entries.iter().cloned().map(Into::into).collect();
                let writer = exports.transfer()?.writer();
                writer.call_offer(accessor, handle, entries).await
            })
        });
        let needed = offered.await?;
        if !needed.is_sorted_by(|one, other| one < other) {
            let fault = "it asked for contents out of order, or for some of them twice";
            return Err(self.blame(fault.into()));
        }
        Ok(needed.into_iter().collect())
    }

    /// Hands over small contents, whole.
    pub(crate) async fn put_small(&mut self, files: Vec<SmallFile>) -> Result<()> {
        let handle = self.handle;
        let files = files.into_iter().map(Into::into).collect();
        let put = self.plugin.call("put-small", move |accessor, exports| {
            Box::pin(async move {
                let writer = exports.transfer()?.writer();
                writer.call_put_small(accessor, handle, files).await
            })
        });
        put.await
    }

    /// Hands over the contents of one file.
    pub(crate) async fn put(&self, id: u64, content: Content) -> Result<()> {
        let handle = self.handle;
        let (backlog, verdict) = (content.bytes.backlog(), content.verdict.clone());
        let (drained, told) = (Drained::default(), content.verdict.clone());
        let is_drained = drained.clone();
        // With nothing to take, or no verdict to hear, it waits for the source.
        let waits =
            move || backlog.is_empty() && (!backlog.is_closed() || verdict.peek().is_none());
        let put = self
            .plugin
            .call_while("put", waits, move |accessor, exports| {
                Box::pin(async move {
                    let (stream, verdict) =
                        accessor.with(|mut access| streams::feed(&mut access, content, drained))?;
                    let writer = exports.transfer()?.writer();
                    writer.call_put(accessor, handle, id, stream, verdict).await
                })
            });
        put.await?;
        // What it says is worth nothing when it cannot know.
        match told.peek() {
            Some(Ok(Ending::Omitted)) => Ok(()),
            Some(Ok(Ending::Whole | Ending::Changed)) if is_drained.is_whole() => Ok(()),
            Some(Ok(Ending::Whole | Ending::Changed)) => Err(self.blame(format!(
                "it says that it has all of entry {id}, and did not take all of it"
            ))),
            Some(Err(_)) | None => Err(self.blame(format!(
                "it says that it has all of entry {id}, of which nobody said that it was all"
            ))),
        }
    }

    /// Lets the plugin make the tree permanent.
    pub(crate) async fn commit(mut self, completeness: Completeness) -> Result<Receipt> {
        self.is_open = false;
        let handle = self.handle;
        let commit = self.plugin.call("commit", move |accessor, exports| {
            Box::pin(async move {
                let writer = exports.transfer()?.writer();
                writer
                    .call_commit(accessor, handle, completeness.into())
                    .await
            })
        });
        let receipt = Receipt::try_from(commit.await?);
        let mut receipt = receipt.map_err(|invalid| self.blame(invalid.to_string()))?;
        // What the host was to write, the host knows.
        receipt.failed = receipt.failed.max(self.plugin.unrestored());
        Ok(receipt)
    }

    /// Gives it up, and waits until the plugin has tidied up.
    pub(crate) async fn give_up(self) {
        let plugin = self.plugin.clone();
        drop(self);
        plugin.quiet().await;
    }

    /// An error of the plugin that broke the contract.
    fn blame(&self, fault: String) -> Error {
        Error::new(Kind::Plugin, fault).of(self.plugin.subject())
    }
}

impl Drop for PluginWriter {
    fn drop(&mut self) {
        if self.is_open {
            self.plugin.clone().discard(self.handle);
        }
    }
}
