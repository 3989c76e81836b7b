//! `transfer.reader`: a tree that comes out of a plugin.

use std::sync::Arc;

use wasmtime::component::ResourceAny;

use crate::contract::{self, Batch, Completeness, Entry, Scope, Sequence, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::{Meter, PipeWriter, Verdict};
use crate::plugin::Instance;
use crate::plugin::streams::{self, Announced};

/// A source's capture, or a snapshot that is being read.
pub(crate) struct PluginReader {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    sequence: Sequence,
    /// What was asked for; none of a capture, which is read whole.
    scope: Option<Scope>,
    meter: Arc<Meter>,
}

impl PluginReader {
    /// The reader of this plugin, which may give what is in scope and so many bytes.
    pub(super) fn new(
        plugin: Arc<Instance>,
        handle: ResourceAny,
        scope: Option<Scope>,
        limit: Option<u64>,
    ) -> Self {
        Self {
            plugin,
            handle,
            sequence: Sequence::default(),
            scope,
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

    /// How many large files it can give at once, of the number that is wanted.
    pub(crate) async fn concurrency(&self, wanted: u32) -> Result<u32> {
        let handle = self.handle;
        let asked = self.plugin.ask("concurrency", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                reader.call_concurrency(accessor, handle, wanted).await
            })
        });
        asked.await
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
        let admitted = entries
            .and_then(|entries| self.sequence.admit(entries))
            .and_then(|batch| {
                self.scope
                    .as_mut()
                    .map_or(Ok(()), |scope| scope.check(&batch))
                    .map(|()| batch)
            });
        admitted.map_err(|invalid| self.blame(invalid.to_string()))
    }

    /// Small contents, whole, in this order. The files have numbers and the sizes that were
    /// announced.
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
            let file = SmallFile::new(id, contents);
            let length = file.contents.len() as u64;
            contract::check_length(id, Some(size), file.ending, length)
                .map_err(|invalid| self.blame(invalid.to_string()))?;
            self.meter
                .add(length)
                .map_err(|error| error.of(self.subject()))?;
            read.push(file);
        }
        Ok(read)
    }

    /// Starts the contents of one file, whose size in bytes may have been announced, into the pipe.
    /// Answers what their verdict will be.
    pub(crate) async fn read(
        &self,
        id: u64,
        size: Option<u64>,
        pipe: PipeWriter,
    ) -> Result<Verdict> {
        let handle = self.handle;
        let meter = self.meter.clone();
        let exit_status = self.plugin.exit_status();
        let read = self.plugin.call("read", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.common.tthost_backup_transfer().reader();
                Ok(match reader.call_read(accessor, handle, id, None).await? {
                    Ok(contents) => Ok(accessor.with(|mut access| {
                        let file = Announced { id, size };
                        streams::take_in(&mut access, file, contents, pipe, meter, exit_status)
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
