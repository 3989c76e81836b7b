//! A tree that comes out of a plugin.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::ResourceAny;

use super::Small;
use super::pipe::Inlet;
use crate::error::{Error, Kind, Result};
use crate::plugin::Instance;
use crate::plugin::bindings::types::{Completeness, Entry};
use crate::plugin::streams::{self, Meter, Verdict};

/// A source's capture, or a snapshot that is being read.
pub(crate) struct Reader {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    meter: Arc<Meter>,
}

impl Reader {
    /// The reader of this plugin, which may give so many bytes.
    pub(crate) fn new(plugin: Arc<Instance>, handle: ResourceAny, limit: Option<u64>) -> Self {
        Self {
            plugin,
            handle,
            meter: Meter::new(limit),
        }
    }

    pub(super) fn subject(&self) -> &str {
        self.plugin.subject()
    }

    /// Bytes of contents that came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// An error of the plugin that broke the contract.
    pub(super) fn blame(&self, fault: String) -> Error {
        Error::new(Kind::Plugin, fault).of(self.subject())
    }

    /// The next entries; none at the end.
    pub(super) async fn next(&mut self, most: u32) -> Result<Arc<[Entry]>> {
        let handle = self.handle;
        let batch = self
            .plugin
            .call(move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .common
                        .tthost_backup_transfer()
                        .reader()
                        .call_next(accessor, handle, most)
                        .await
                })
            })
            .await?;
        if batch.len() > most as usize {
            return Err(self.blame(format!(
                "it gave {} entries where {most} were asked for",
                batch.len()
            )));
        }
        Ok(batch.into())
    }

    /// Small contents, whole, in this order; none where they cannot be had. The files have
    /// numbers and the sizes that were announced.
    pub(super) async fn read_small(&mut self, files: Vec<(u64, u64)>) -> Result<Vec<Small>> {
        let handle = self.handle;
        let asked: Vec<_> = files.iter().map(|(id, _)| *id).collect();
        let answers = self
            .plugin
            .call(move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .common
                        .tthost_backup_transfer()
                        .reader()
                        .call_read_small(accessor, handle, asked)
                        .await
                })
            })
            .await?;
        if answers.len() != files.len() {
            return Err(self.blame(format!(
                "it gave {} contents where {} were asked for",
                answers.len(),
                files.len()
            )));
        }
        let mut read = Vec::with_capacity(files.len());
        for ((id, size), contents) in files.into_iter().zip(answers) {
            let Some(contents) = contents else {
                read.push((id, None));
                continue;
            };
            if contents.len() as u64 > size {
                return Err(self.blame(format!(
                    "the contents of entry {id} are larger than was announced"
                )));
            }
            self.meter
                .add(contents.len() as u64)
                .map_err(|error| error.of(self.subject()))?;
            read.push((id, Some(Bytes::from(contents))));
        }
        Ok(read)
    }

    /// Starts the contents of one file into the pipe and answers what their verdict will be.
    pub(super) async fn read(&mut self, id: u64, inlet: Inlet) -> Result<Verdict> {
        let handle = self.handle;
        let meter = self.meter.clone();
        let obituary = self.plugin.obituary();
        self.plugin
            .call(move |accessor, exports| {
                Box::pin(async move {
                    let reader = exports.common.tthost_backup_transfer().reader();
                    Ok(match reader.call_read(accessor, handle, id).await? {
                        Ok((stream, verdict)) => Ok(accessor.with(|mut access| {
                            streams::take_in(&mut access, stream, verdict, inlet, meter, obituary)
                        })?),
                        Err(error) => Err(error),
                    })
                })
            })
            .await
    }

    /// The verdict on all of it.
    pub(super) async fn finish(self) -> Result<Completeness> {
        let handle = self.handle;
        self.plugin
            .call(move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .common
                        .tthost_backup_transfer()
                        .reader()
                        .call_finish(accessor, handle)
                        .await
                })
            })
            .await
    }
}
