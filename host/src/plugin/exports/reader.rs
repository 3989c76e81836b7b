//! `transfer.reader`: a tree on its way out of a plugin.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::FutureExt as _;
use wasmtime::component::ResourceAny;

use crate::contract::{self, Batch, BytesOf, Completeness, Entry, Scope, Sequence, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::grant::Limits;
use crate::pipe::{Meter, PipeWriter, Verdict};
use crate::plugin::Instance;
use crate::plugin::bindings::mover::exports::tthost::backup::transfer::Range;
use crate::plugin::convert::from_contract;
use crate::plugin::memory::Share;
use crate::plugin::streams::{self, Announced};

/// Entries go to writers in batches of so many bytes, unless one has more: what a writer has to hold is no matter
/// of the plugin that they come from.
const BATCH: usize = 4 << 20;

/// Bytes that small files may have more than was announced, all of one call together: they may have changed.
const EXCESS: u64 = 1 << 20;

/// A source's capture, or a snapshot that is being read.
pub(crate) struct PluginReader {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    sequence: Sequence,
    /// What was asked for; none of a capture, which is read whole.
    scope: Option<Scope>,
    meter: Arc<Meter>,
    /// Entries that it may still give.
    entries_left: u64,
    most_entries: u64,
    /// What it gave that nobody has asked for yet.
    ahead: VecDeque<Batch>,
    /// The memory of its last two answers, which somebody may still work on.
    held: VecDeque<Share>,
}

impl PluginReader {
    /// The reader of this plugin, which may give what is in scope and within the limits.
    pub(super) fn new(
        plugin: Arc<Instance>,
        handle: ResourceAny,
        scope: Option<Scope>,
        limits: &Limits,
    ) -> Self {
        Self {
            plugin,
            handle,
            sequence: Sequence::default(),
            scope,
            meter: Meter::new(limits.output),
            entries_left: limits.entries,
            most_entries: limits.entries,
            ahead: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    pub(crate) fn subject(&self) -> &str {
        self.plugin.subject()
    }

    /// Bytes of contents that came so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// How many large files it can give at once, of the number that is wanted. Out of something that comes one file after the
    /// other, that is one.
    pub(crate) async fn concurrency(&self, wanted: u32) -> Result<u32> {
        let handle = self.handle;
        let asked = self.plugin.ask("concurrency", move |accessor, exports| {
            Box::pin(async move {
                let is_sequential = accessor.with(|mut access| access.get().reads_sequentially());
                let wanted = if is_sequential { 1 } else { wanted };
                let reader = exports.transfer()?.reader();
                let given = reader.call_concurrency(accessor, handle, wanted).await?;
                // What the plugin says is no more than what there is.
                Ok(given.min(wanted))
            })
        });
        asked.await
    }

    /// The next entries, at most `max`; none at the end.
    pub(crate) async fn next(&mut self, max: u32) -> Result<Batch> {
        if let Some(batch) = self.ahead.pop_front() {
            return Ok(batch);
        }
        let handle = self.handle;
        let answer = self.plugin.call("next", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.transfer()?.reader();
                reader.call_next(accessor, handle, max).await
            })
        });
        let answer = answer.await?;
        if answer.len() > max as usize {
            return Err(self.blame(format!(
                "it gave {} entries where {max} were asked for",
                answer.len()
            )));
        }
        self.count(answer.len() as u64)?;
        let entries = answer.into_iter().map(Entry::try_from);
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|invalid| self.blame(invalid.to_string()))?;
        self.hold(entries.iter().map(Entry::weight).sum())?;
        for part in split(entries) {
            let batch = self.sequence.admit(part).and_then(|batch| {
                let scope = self.scope.as_mut();
                scope.map_or(Ok(()), |scope| scope.check(&batch))?;
                Ok(batch)
            });
            self.ahead
                .push_back(batch.map_err(|invalid| self.blame(invalid.to_string()))?);
        }
        match self.ahead.pop_front() {
            Some(batch) => Ok(batch),
            None => Ok(Batch::default()),
        }
    }

    /// Counts entries against their limit.
    fn count(&mut self, entries: u64) -> Result<()> {
        let left = self.entries_left.checked_sub(entries);
        self.entries_left = left.ok_or_else(|| {
            let text = format!(
                "it gave more than its limit of {} entries",
                self.most_entries
            );
            Error::new(Kind::Plugin, text)
                .help("raise limits.entries if there are really so many files")
                .of(self.subject())
        })?;
        Ok(())
    }

    /// Charges the entries of an answer.
    fn hold(&mut self, bytes: usize) -> Result<()> {
        let share = self.plugin.memory().hold(bytes);
        let share = share.map_err(|error| from_contract(error).of(self.subject()))?;
        self.held.push_back(share);
        if self.held.len() > 2 {
            self.held.pop_front();
        }
        Ok(())
    }

    /// Small contents, whole, in this order. The files have numbers and the sizes that were
    /// announced.
    pub(crate) async fn read_small(&mut self, files: Vec<(u64, u64)>) -> Result<Vec<SmallFile>> {
        let handle = self.handle;
        let asked: Vec<_> = files.iter().map(|(id, _)| *id).collect();
        let answers = self.plugin.call("read-small", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.transfer()?.reader();
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
        let announced: u64 = files.iter().map(|(_, size)| *size).sum();
        let mut left = announced.saturating_add(EXCESS);
        let mut read = Vec::with_capacity(files.len());
        for ((id, size), contents) in files.into_iter().zip(answers) {
            let file = SmallFile::new(id, contents);
            let length = file.contents.len() as u64;
            left = left.checked_sub(length).ok_or_else(|| {
                self.blame(format!(
                    "small files have far more bytes than the {announced} that were announced"
                ))
            })?;
            let charged = file.charged_to(self.plugin.memory());
            let file = charged.map_err(|error| from_contract(error).of(self.subject()))?;
            contract::check_length(&BytesOf::Entry(id), Some(size), file.ending, length)
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
        self.start(id, size, None, pipe).await
    }

    /// The same for so many bytes of a file from one place on.
    pub(crate) async fn read_part(
        &self,
        id: u64,
        (offset, length): (u64, u64),
        pipe: PipeWriter,
    ) -> Result<Verdict> {
        let range = Range { offset, length };
        self.start(id, None, Some(range), pipe).await
    }

    async fn start(
        &self,
        id: u64,
        size: Option<u64>,
        range: Option<Range>,
        pipe: PipeWriter,
    ) -> Result<Verdict> {
        let handle = self.handle;
        let meter = self.meter.clone();
        let exit_status = self.plugin.exit_status();
        let flow = pipe.flow();
        let read = self.plugin.call("read", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.transfer()?.reader();
                Ok(match reader.call_read(accessor, handle, id, range).await? {
                    Ok(contents) => Ok(accessor.with(|mut access| {
                        let file = Announced {
                            whose: BytesOf::Entry(id),
                            size,
                        };
                        let ended = Some(exit_status);
                        streams::take_in(&mut access, file, contents, pipe, meter, ended)
                    })?),
                    Err(error) => Err(error),
                })
            })
        });
        let verdict = read.await?;
        // When there is no room in the pipe, it waits for the writers.
        let watch = self.plugin.watch().clone();
        let watched = async move { watch.over(|| flow.waits(), verdict).await };
        Ok(watched.boxed().shared())
    }

    /// The verdict on all of it.
    pub(crate) async fn finish(self) -> Result<Completeness> {
        let handle = self.handle;
        let finished = self.plugin.call("finish", move |accessor, exports| {
            Box::pin(async move {
                let reader = exports.transfer()?.reader();
                reader.call_finish(accessor, handle).await
            })
        });
        Ok(finished.await?.into())
    }

    /// Gives it up, and waits until the plugin has noticed.
    pub(crate) async fn give_up(self) {
        self.plugin.quiet().await;
    }

    /// An error of the plugin that broke the contract.
    fn blame(&self, fault: String) -> Error {
        Error::new(Kind::Plugin, fault).of(self.subject())
    }
}

/// Entries in parts of so many bytes.
fn split(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut parts: Vec<Vec<_>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.weight();
        match parts.last_mut() {
            Some(part) if bytes <= BATCH => part.push(entry),
            _ => {
                bytes = entry.weight();
                parts.push(vec![entry]);
            }
        }
    }
    parts
}
