//! A tree that goes into a plugin.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use wasmtime::component::ResourceAny;

use super::{Contents, Small, Writer, patiently};
use crate::error::Result;
use crate::operation::Receipt;
use crate::plugin::Instance;
use crate::plugin::bindings::common::exports::tthost::backup::transfer;
use crate::plugin::bindings::types::{self, Completeness, Entry};
use crate::plugin::streams;

/// A snapshot that is being written, or a restoration.
pub(crate) struct PluginWriter {
    plugin: Arc<Instance>,
    handle: ResourceAny,
}

impl PluginWriter {
    /// The writer of this plugin.
    pub(crate) fn new(plugin: Arc<Instance>, handle: ResourceAny) -> Self {
        Self { plugin, handle }
    }
}

impl Writer for PluginWriter {
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let handle = self.handle;
        let offered = self.plugin.call(move |accessor, exports| {
            Box::pin(async move {
                let entries = entries.to_vec();
                exports
                    .common
                    .tthost_backup_transfer()
                    .writer()
                    .call_offer(accessor, handle, entries)
                    .await
            })
        });
        let offered = patiently(&self.plugin, || false, offered);
        async { Ok(offered.await?.into_iter().collect()) }.boxed()
    }

    fn put_small(&mut self, files: Vec<Small>) -> BoxFuture<'_, Result<()>> {
        let handle = self.handle;
        let files = files
            .into_iter()
            .map(|(id, contents)| types::Small {
                id,
                contents: contents.map(Into::into),
            })
            .collect();
        let put = self.plugin.call(move |accessor, exports| {
            Box::pin(async move {
                exports
                    .common
                    .tthost_backup_transfer()
                    .writer()
                    .call_put_small(accessor, handle, files)
                    .await
            })
        });
        patiently(&self.plugin, || false, put).boxed()
    }

    fn put(&mut self, id: u64, contents: Contents) -> BoxFuture<'_, Result<()>> {
        let handle = self.handle;
        let (level, verdict) = (contents.outlet.level(), contents.verdict.clone());
        let put = self.plugin.call(move |accessor, exports| {
            Box::pin(async move {
                let (stream, verdict) = accessor.with(|mut access| {
                    streams::feed(&mut access, contents.outlet, contents.verdict)
                })?;
                let writer = exports.common.tthost_backup_transfer().writer();
                writer.call_put(accessor, handle, id, stream, verdict).await
            })
        });
        // With nothing to take, or no verdict to hear, it waits for the source.
        let waits = move || level.is_empty() && (!level.is_closed() || verdict.peek().is_none());
        patiently(&self.plugin, waits, put).boxed()
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move {
            let handle = self.handle;
            let commit = self.plugin.call(move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .common
                        .tthost_backup_transfer()
                        .writer()
                        .call_commit(accessor, handle, completeness)
                        .await
                })
            });
            Ok(patiently(&self.plugin, || false, commit).await?.into())
        }
        .boxed()
    }
}

impl From<transfer::Receipt> for Receipt {
    fn from(receipt: transfer::Receipt) -> Self {
        Self {
            snapshot: receipt.snapshot,
            files_new: receipt.files_new,
            files_changed: receipt.files_changed,
            files_unmodified: receipt.files_unmodified,
            directories_new: receipt.directories_new,
            directories_changed: receipt.directories_changed,
            directories_unmodified: receipt.directories_unmodified,
            data_blobs: receipt.data_blobs,
            tree_blobs: receipt.tree_blobs,
            bytes_added: receipt.bytes_added,
            bytes_stored: receipt.bytes_stored,
            files_total: receipt.files_total,
            bytes_total: receipt.bytes_total,
            removed: receipt.removed,
        }
    }
}
