//! `transfer.reader`: a tree that comes out of a plugin.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::ResourceAny;

use crate::contract::{Batch, Completeness, Entry, Sequence, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::{Meter, PipeWriter, Verdict};
use crate::plugin::Instance;
use crate::plugin::streams;

/// A source's capture, or a snapshot that is being read.
pub(crate) struct PluginReader {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    sequence: Sequence,
    meter: Arc<Meter>,
}

impl PluginReader {
    /// The reader of this plugin, which may give so many bytes.
    pub(super) fn new(plugin: Arc<Instance>, handle: ResourceAny, limit: Option<u64>) -> Self {
        Self {
            plugin,
            handle,
            sequence: Sequence::default(),
            meter: Meter::new(limit),
        }
    }

    pub(crate) fn subject(&self) -> &str {
        self.plugin.subject()
    }

    /// Bytes of contents that came so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// The next entries, at most `max`; none at the end.
    pub(crate) async fn next(&mut self, max: u32) -> Result<Batch> {
        let handle = self.handle;
        let batch = self.plugin.call("next", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                reader.call_next(accessor, handle, max).await
            })
        });
        let batch = batch.await?;
        if batch.len() > max as usize {
            return Err(self.blame(format!(
                "it gave {} entries where {max} were asked for",
                batch.len()
            )));
        }
        let entries = batch.into_iter().map(Entry::try_from);
        let entries: Result<_, _> = entries.collect();
        let admitted = entries.and_then(|entries| self.sequence.admit(entries));
        admitted.map_err(|invalid| self.blame(invalid.to_string()))
    }

    /// Small contents, whole, in this order; none where they cannot be had. The files have
    /// numbers and the sizes that were announced.
    pub(crate) async fn read_small(&mut self, files: Vec<(u64, u64)>) -> Result<Vec<SmallFile>> {
        let handle = self.handle;
        let asked: Vec<_> = files.iter().map(|(id, _)| *id).collect();
        let answers = self.plugin.call("read-small", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                reader.call_read_small(accessor, handle, asked).await
            })
        });
        let answers = answers.await?;
        if answers.len() != files.len() {
            return Err(self.blame(format!(
                "it gave {} contents where {} were asked for",
                answers.len(),
                files.len()
            )));
        }
        let mut read = Vec::with_capacity(files.len());
        for ((id, size), contents) in files.into_iter().zip(answers) {
            if let Some(contents) = &contents {
                let length = contents.len() as u64;
                if length > size {
                    return Err(self.blame(format!(
                        "the contents of entry {id} are larger than was announced"
                    )));
                }
                self.meter
                    .add(length)
                    .map_err(|error| error.of(self.subject()))?;
            }
            let contents = contents.map(Bytes::from);
            read.push(SmallFile { id, contents });
        }
        Ok(read)
    }

    /// Starts the contents of one file into the pipe and answers what their verdict will be.
    pub(crate) async fn read(&mut self, id: u64, pipe: PipeWriter) -> Result<Verdict> {
        let handle = self.handle;
        let meter = self.meter.clone();
        let exit_status = self.plugin.exit_status();
        let read = self.plugin.call("read", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                Ok(match reader.call_read(accessor, handle, id).await? {
                    Ok((stream, verdict)) => Ok(accessor.with(|mut access| {
                        streams::take_in(&mut access, stream, verdict, pipe, meter, exit_status)
                    })?),
                    Err(error) => Err(error),
                })
            })
        });
        read.await
    }

    /// The verdict on all of it.
    pub(crate) async fn finish(self) -> Result<Completeness> {
        let handle = self.handle;
        let finished = self.plugin.call("finish", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                reader.call_finish(accessor, handle).await
            })
        });
        Ok(finished.await?.into())
    }

    /// An error of the plugin that broke the contract.
    fn blame(&self, fault: String) -> Error {
        Error::new(Kind::Plugin, fault).of(self.subject())
    }
}
