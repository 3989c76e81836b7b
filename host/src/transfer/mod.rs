//! Moving a tree from one reader into many writers.
//!
//! A backup moves a source's capture into sinks, a restoration a sink's snapshot into a
//! source, a directory or a stream; the course is the same, and the contract describes it
//! at its interface `transfer`. A writer that fails drops out, the others go on.

mod filter;
mod plugin;
mod rehearsal;
mod single;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;
use std::time::Duration;

use futures::future::{BoxFuture, join, join_all};

use crate::contract::{Batch, Completeness, Ending, Entry, EntryKind, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::pipe::{self, Content, PipeWriter, Verdict};

pub(crate) use filter::Filter;
pub(crate) use rehearsal::Rehearsal;
pub(crate) use single::SingleWriter;

/// Entries that are moved at a time.
const BATCH: u32 = 1024;

/// Files up to this many bytes travel together and whole.
const SMALL: u64 = 512 << 10;

/// Small files are read in groups of so many bytes, one group while the one before is written.
const GROUP: u64 = 1 << 20;

/// The entries of a batch whose contents each writer needs.
type Needs = Vec<HashSet<u64>>;

/// Small contents that were read together, for each writer what it needs of them.
#[derive(Default)]
struct Group(Vec<Vec<SmallFile>>);

/// Where a tree comes from; see the contract's `reader`.
pub(crate) trait Reader: Send {
    /// What it is called in messages.
    fn subject(&self) -> &str;

    /// Bytes of contents that came so far.
    fn bytes(&self) -> u64;

    /// The next entries, at most `max`; none at the end.
    fn next(&mut self, max: u32) -> BoxFuture<'_, Result<Batch>>;

    /// Small contents, whole, in this order. The files have numbers and announced sizes in bytes.
    fn read_small(&mut self, files: Vec<(u64, u64)>) -> BoxFuture<'_, Result<Vec<SmallFile>>>;

    /// Starts the contents of one file into the pipe and answers what their verdict will be.
    fn read(&mut self, id: u64, pipe: PipeWriter) -> BoxFuture<'_, Result<Verdict>>;

    /// The verdict on all of it.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Completeness>>;
}

/// Where a tree goes; see the contract's `writer`.
pub(crate) trait Writer: Send {
    /// Takes the next entries and answers the numbers of those whose contents it needs.
    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>>;

    /// Takes small contents, whole.
    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>>;

    /// Takes the contents of one file, and waits for their verdict.
    fn put(&mut self, id: u64, content: Content) -> BoxFuture<'_, Result<()>>;

    /// Makes the tree permanent.
    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>>;
}

/// How a transfer went.
pub(crate) struct Moved {
    /// The writers' answers, in their order.
    pub(crate) receipts: Vec<Result<Receipt>>,
    /// Files that came.
    pub(crate) files: u64,
    /// Bytes of contents that came.
    pub(crate) bytes: u64,
    /// Whether the tree is what its source was.
    pub(crate) completeness: Completeness,
}

/// Moves the reader's tree into the writers, and commits those that took all of it, if
/// the reader's verdict on everything is good. The error is the reader's.
pub(crate) async fn transfer(
    mut reader: Box<dyn Reader>,
    writers: Vec<Box<dyn Writer>>,
    events: &dyn Events,
) -> Result<Moved> {
    let mut state = TransferState {
        writers: writers.into_iter().map(Ok).collect(),
        files: 0,
        completeness: Completeness::Complete,
    };
    let mut batch = reader.next(BATCH).await?;
    // What the writers have yet to get of the batch before.
    let mut rest = Group::default();
    while !batch.is_empty() && !state.all_failed() {
        // The reader goes on while the writers work.
        let (needs, ahead) = join(state.put_and_offer(rest, &batch), reader.next(BATCH)).await;
        let ahead = ahead?;
        rest = state
            .move_batch(&mut *reader, &batch, &needs, events)
            .await?;
        batch = ahead;
    }
    state.put_small(rest).await;
    let bytes = reader.bytes();
    let mut completeness = state.completeness;
    if !state.all_failed() && reader.finish().await? == Completeness::Incomplete {
        completeness = Completeness::Incomplete;
    }
    let receipts = join_all(
        state
            .writers
            .into_iter()
            .map(async |writer| writer?.commit(completeness).await),
    )
    .await;
    Ok(Moved {
        receipts,
        files: state.files,
        bytes,
        completeness,
    })
}

struct TransferState {
    writers: Vec<Result<Box<dyn Writer>>>,
    files: u64,
    completeness: Completeness,
}

impl TransferState {
    fn all_failed(&self) -> bool {
        self.writers.iter().all(Result::is_err)
    }

    /// Moves the contents that are needed, except for a last group of small ones, which it
    /// answers.
    async fn move_batch(
        &mut self,
        reader: &mut dyn Reader,
        batch: &[Entry],
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<Group> {
        let mut small = Vec::new();
        let mut small_bytes = 0;
        let mut read = Group::default();
        for entry in batch {
            let EntryKind::File(size) = entry.kind else {
                continue;
            };
            self.files += 1;
            if !needs.iter().any(|needs| needs.contains(&entry.id)) {
                continue;
            }
            if let Some(size @ ..=SMALL) = size {
                small_bytes += size;
                small.push((entry.id, size));
                if small_bytes < GROUP {
                    continue;
                }
            }
            let files = std::mem::take(&mut small);
            read = self.move_small(reader, files, needs, read).await?;
            small_bytes = 0;
            if size.is_none_or(|size| size > SMALL) {
                self.put_small(std::mem::take(&mut read)).await;
                self.move_file(reader, entry.id, needs, events).await?;
            }
            events.transferred(self.files, reader.bytes());
        }
        let rest = self.move_small(reader, small, needs, read).await?;
        events.transferred(self.files, reader.bytes());
        Ok(rest)
    }

    /// Hands the writers what they have yet to get of one batch, and offers them the next.
    async fn put_and_offer(&mut self, rest: Group, batch: &Batch) -> Needs {
        self.put_small(rest).await;
        self.offer(batch).await
    }

    /// What each writer needs, nothing for those that are gone.
    async fn offer(&mut self, batch: &Batch) -> Needs {
        let files: HashSet<_> = batch
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
            .map(|entry| entry.id)
            .collect();
        let asked = join_all(self.writers.iter_mut().map(async |place| {
            let Ok(writer) = place else {
                return HashSet::new();
            };
            match writer.offer(batch.clone()).await {
                Ok(needs) if needs.is_subset(&files) => needs,
                Ok(_) => {
                    let fault =
                        "it asked for the contents of something that is not a file of the batch";
                    *place = Err(Error::new(Kind::Plugin, fault));
                    HashSet::new()
                }
                Err(error) => {
                    *place = Err(error);
                    HashSet::new()
                }
            }
        }));
        asked.await
    }

    /// Reads a group of small files while the writers take the one before. Answers the new one.
    async fn move_small(
        &mut self,
        reader: &mut dyn Reader,
        wanted: Vec<(u64, u64)>,
        needs: &Needs,
        before: Group,
    ) -> Result<Group> {
        if wanted.is_empty() {
            return Ok(before);
        }
        let (files, ()) = join(reader.read_small(wanted), self.put_small(before)).await;
        let files = files?;
        if files.iter().any(|file| file.contents.is_none()) {
            self.completeness = Completeness::Incomplete;
        }
        let wanted = needs.iter().map(|needs| {
            let wanted = files.iter().filter(|file| needs.contains(&file.id));
            wanted.cloned().collect()
        });
        Ok(Group(wanted.collect()))
    }

    /// Hands each writer its part of a group.
    async fn put_small(&mut self, group: Group) {
        let parts = self.writers.iter_mut().zip(group.0);
        join_all(parts.map(async |(place, wanted)| {
            let Ok(writer) = place else { return };
            if wanted.is_empty() {
                return;
            }
            if let Err(error) = writer.put_small(wanted).await {
                *place = Err(error);
            }
        }))
        .await;
    }

    async fn move_file(
        &mut self,
        reader: &mut dyn Reader,
        id: u64,
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<()> {
        let takers: Vec<_> = (0..self.writers.len())
            .filter(|index| needs[*index].contains(&id) && self.writers[*index].is_ok())
            .collect();
        let (pipe, outputs) = pipe::pipe(takers.len());
        let verdict = reader.read(id, pipe).await?;
        let mut outputs = outputs.into_iter();
        {
            let files = self.files;
            let puts = join_all(self.writers.iter_mut().enumerate().map(|(index, place)| {
                let bytes = if takers.contains(&index) {
                    outputs.next()
                } else {
                    None
                };
                let verdict = verdict.clone();
                async move {
                    let (Ok(writer), Some(bytes)) = (&mut *place, bytes) else {
                        return;
                    };
                    if let Err(error) = writer.put(id, Content { bytes, verdict }).await {
                        *place = Err(error);
                    }
                }
            }));
            let mut puts = std::pin::pin!(puts);
            let mut beat = tokio::time::interval(Duration::from_millis(200));
            loop {
                tokio::select! {
                    _ = &mut puts => break,
                    _ = beat.tick() => events.transferred(files, reader.bytes()),
                }
            }
        }
        if self.all_failed() && verdict.peek().is_none() {
            // They may all have failed for reasons of their own, and the contents were
            // given up in the middle: there is no verdict to wait for.
            return Ok(());
        }
        let ending = verdict.await;
        if ending.map_err(|error| error.of(reader.subject()))? == Ending::Omitted {
            self.completeness = Completeness::Incomplete;
        }
        Ok(())
    }
}
