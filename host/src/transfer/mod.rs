//! Moves a tree from one reader into many writers.
//!
//! A backup moves a source's capture into sinks. A restore moves a sink's snapshot into a source, a directory or a stream. The
//! steps are the same, and the contract describes them at its interface `transfer`. A writer that fails drops out, and the
//! others continue. A writer that is not required also drops out when it delays the others for too long.

mod discard;
mod dry_run;
mod dump;
mod filter;
mod output;
mod pace;
mod plugin;
mod single;
mod slot;
mod subfolder;
mod tar;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join, join_all};
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::contract::{Batch, Completeness, Entry, EntryKind, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::pipe::{self, Content, PipeWriter, Verdict};
use pace::Pace;
use slot::Slot;

pub(crate) use discard::Discard;
pub(crate) use dry_run::DryRunWriter;
pub(crate) use dump::{Dumped, dump};
pub(crate) use filter::Filter;
pub(crate) use pace::Wait;
pub(crate) use single::SingleWriter;
pub(crate) use subfolder::Subfolder;

/// Entries that are moved at a time.
const BATCH: u32 = 1024;

/// Files up to this many bytes travel together and whole.
const SMALL: u64 = 512 << 10;

/// Large files that are moved at once, where both sides can: while one waits for a disk or for its
/// verdict, the other goes on. Each takes some tens of megabytes, and more were no faster.
const CONCURRENT_FILES: u32 = 2;

/// The longest time in one transfer for which the others wait for a writer that is not required.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(10);

/// The interval of progress reports within large files.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Small files are read in groups of so many bytes, one group while the one before is written.
const GROUP: u64 = 1 << 20;

/// The entries of a batch whose contents each writer needs.
type Needs = Vec<HashSet<u64>>;

/// Small contents that were read together: for each writer, those that it needs.
#[derive(Default)]
struct Group(Vec<Vec<SmallFile>>);

/// Where a tree comes from; see the contract's `reader`.
pub(crate) trait Reader: Send + Sync {
    /// Its name in messages.
    fn subject(&self) -> &str;

    /// Bytes of contents that came so far.
    fn bytes(&self) -> u64;

    /// How many large files it can give at once, of the number that is wanted.
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>>;

    /// The next entries, at most `max`; none at the end.
    fn next(&mut self, max: u32) -> BoxFuture<'_, Result<Batch>>;

    /// Reads small files whole, in this order. Each has its number and its announced size in bytes.
    fn read_small(&mut self, files: Vec<(u64, u64)>) -> BoxFuture<'_, Result<Vec<SmallFile>>>;

    /// Starts the contents of one file, whose size in bytes may have been announced, into the
    /// pipe. Answers what their verdict will be.
    fn read(&self, id: u64, size: Option<u64>, pipe: PipeWriter) -> BoxFuture<'_, Result<Verdict>>;

    /// The verdict on the whole tree.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Completeness>>;
}

/// Where a tree goes; see the contract's `writer`. A writer that is dropped before it was
/// committed leaves no trace of a snapshot.
pub(crate) trait Writer: Send + Sync {
    /// How many large files it can take at once, of the number that is wanted.
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>>;

    /// Takes the next entries and answers the numbers of those whose contents it needs.
    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>>;

    /// Takes small contents, whole.
    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>>;

    /// Takes the contents of one file, and waits for their verdict.
    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>>;

    /// Makes the tree permanent.
    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>>;
}

/// A writer of a transfer, and how long the others wait for it.
pub(crate) struct TransferWriter {
    /// The writer itself.
    pub(crate) writer: Box<dyn Writer>,
    /// Whether the others wait for it as long as it takes. Without any that is required, they all do.
    pub(crate) required: bool,
    /// How long they wait for it in all, if it is not required.
    pub(crate) max_lag: Duration,
    /// How long they have waited.
    pub(crate) waited: Wait,
}

impl From<Box<dyn Writer>> for TransferWriter {
    fn from(writer: Box<dyn Writer>) -> Self {
        Self {
            writer,
            required: true,
            max_lag: MAX_LAG,
            waited: Wait::default(),
        }
    }
}

/// What became of a writer.
pub(crate) enum Outcome {
    /// It committed the tree, or failed.
    Done(Result<Receipt>),
    /// It kept the others waiting for too long. The transfer abandoned it before it had the whole tree.
    Behind,
    /// It has the whole tree, and kept the others waiting while it committed it.
    Committing(BoxFuture<'static, Result<Receipt>>),
}

impl Outcome {
    /// The answer of a writer that is waited for as long as it takes.
    pub(crate) async fn receipt(self) -> Result<Receipt> {
        match self {
            Self::Done(receipt) => receipt,
            Self::Behind => Err(Error::new(
                Kind::Unavailable,
                "it was too slow for the others",
            )),
            Self::Committing(commit) => commit.await,
        }
    }
}

/// How a transfer went.
pub(crate) struct TransferReport {
    /// What became of the writers, in their order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Files that came.
    pub(crate) files: u64,
    /// Bytes of contents that came.
    pub(crate) bytes: u64,
    /// Whether the tree holds everything that its source held.
    pub(crate) completeness: Completeness,
}

/// Moves the reader's tree into the writers, and commits those that took all of it, if
/// the reader's verdict on everything is good. The error is the reader's.
pub(crate) async fn transfer(
    mut reader: Box<dyn Reader>,
    writers: Vec<TransferWriter>,
    events: &dyn Events,
) -> Result<TransferReport> {
    let required = writers.iter().filter(|writer| writer.required).count();
    let pace = Arc::new(Pace::new(required));
    let slots = writers.into_iter();
    let mut state = TransferState {
        slots: slots
            .map(|writer| Slot::new(writer, pace.clone()))
            .collect(),
        pace: pace.clone(),
        at_once: None,
        files: 0,
        completeness: Completeness::Complete,
    };
    let mut batch = pace.set_by(reader.next(BATCH)).await?;
    // The entries of the previous batch that the writers still need.
    let mut rest = Group::default();
    while !batch.is_empty() && !state.all_out() {
        // The reader continues while the writers work.
        let reading = pace.set_by(reader.next(BATCH));
        let (needs, ahead) = join(state.put_and_offer(rest, &batch), reading).await;
        let ahead = ahead?;
        rest = state
            .move_batch(&mut *reader, &batch, &needs, events)
            .await?;
        batch = ahead;
    }
    state.put_small(rest).await;
    let bytes = reader.bytes();
    if !state.all_out() && reader.finish().await? == Completeness::Incomplete {
        state.completeness = Completeness::Incomplete;
    }
    let completeness = state.completeness;
    let commits = state
        .slots
        .into_iter()
        .map(|slot| slot.commit(completeness));
    Ok(TransferReport {
        outcomes: join_all(commits).await,
        files: state.files,
        bytes,
        completeness,
    })
}

struct TransferState {
    slots: Vec<Slot>,
    pace: Arc<Pace>,
    /// Large files that all sides move at once, as soon as there was one.
    at_once: Option<usize>,
    files: u64,
    completeness: Completeness,
}

/// A large file: its number, and its size in bytes where that was announced.
type LargeFile = (u64, Option<u64>);

impl TransferState {
    fn all_out(&self) -> bool {
        self.slots.iter().all(Slot::is_out)
    }

    /// Moves the contents that are needed: the small ones in groups, and then the others. Answers
    /// a last group of small ones where nothing came after it.
    async fn move_batch(
        &mut self,
        reader: &mut dyn Reader,
        batch: &[Entry],
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<Group> {
        let mut large = Vec::new();
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
            let Some(size @ ..=SMALL) = size else {
                large.push((entry.id, size));
                continue;
            };
            small_bytes += size;
            small.push((entry.id, size));
            if small_bytes >= GROUP {
                small_bytes = 0;
                let files = std::mem::take(&mut small);
                read = self.move_small(reader, files, needs, read).await?;
                events.transferred(self.files, reader.bytes());
            }
        }
        let mut rest = self.move_small(reader, small, needs, read).await?;
        if !large.is_empty() {
            self.put_small(std::mem::take(&mut rest)).await;
            self.move_large(reader, large, needs, events).await?;
        }
        events.transferred(self.files, reader.bytes());
        Ok(rest)
    }

    /// Gives the writers the rest of one batch and offers them the next.
    async fn put_and_offer(&mut self, rest: Group, batch: &Batch) -> Needs {
        self.put_small(rest).await;
        self.offer(batch).await
    }

    /// The entries that each writer needs; empty for a writer that has failed.
    async fn offer(&mut self, batch: &Batch) -> Needs {
        let files: HashSet<_> = batch
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
            .map(|entry| entry.id)
            .collect();
        let asked = join_all(self.slots.iter_mut().map(async |slot| {
            slot.work(async |writer| {
                let needs = writer.offer(batch.clone()).await?;
                if needs.is_subset(&files) {
                    return Ok(needs);
                }
                let fault =
                    "it asked for the contents of something that is not a file of the batch";
                Err(Error::new(Kind::Plugin, fault))
            })
            .await
            .unwrap_or_default()
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
        let pace = self.pace.clone();
        let reading = pace.set_by(reader.read_small(wanted));
        let (files, ()) = join(reading, self.put_small(before)).await;
        let files = files?;
        for file in &files {
            self.note(file.ending.completeness());
        }
        let wanted = needs.iter().map(|needs| {
            let wanted = files.iter().filter(|file| needs.contains(&file.id));
            wanted.cloned().collect()
        });
        Ok(Group(wanted.collect()))
    }

    /// Hands each writer its part of a group.
    async fn put_small(&mut self, group: Group) {
        let parts = self.slots.iter_mut().zip(group.0);
        join_all(parts.map(async |(slot, wanted)| {
            if !wanted.is_empty() {
                slot.work(async |writer| writer.put_small(wanted).await)
                    .await;
            }
        }))
        .await;
    }

    /// Moves files that come as streams, as many at once as all sides can.
    async fn move_large(
        &mut self,
        reader: &dyn Reader,
        files: Vec<LargeFile>,
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<()> {
        let at_once = match self.at_once {
            Some(at_once) => at_once,
            None => self.agree(reader).await?,
        };
        self.at_once = Some(at_once);
        let slots = &self.slots;
        let moves = files
            .into_iter()
            .map(|file| move_file(slots, reader, file, needs));
        let mut moves = stream::iter(moves).buffer_unordered(at_once);
        let mut completeness = Vec::new();
        let mut beat = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                next = moves.next() => match next {
                    Some(outcome) => completeness.push(outcome?),
                    None => break,
                },
                _ = beat.tick() => events.transferred(self.files, reader.bytes()),
            }
        }
        drop(moves);
        for one in completeness {
            self.note(one);
        }
        self.slots.iter_mut().for_each(Slot::release);
        Ok(())
    }

    /// The number of large files that all sides can move at once.
    async fn agree(&mut self, reader: &dyn Reader) -> Result<usize> {
        let mut at_once = reader
            .concurrency(CONCURRENT_FILES)
            .await?
            .min(CONCURRENT_FILES);
        for slot in &mut self.slots {
            let asked = slot.work(async |writer| writer.concurrency(at_once).await);
            at_once = asked.await.map_or(at_once, |most| most.min(at_once));
        }
        Ok(at_once.max(1) as usize)
    }

    fn note(&mut self, completeness: Completeness) {
        if completeness == Completeness::Incomplete {
            self.completeness = completeness;
        }
    }
}

/// Moves one file into all writers that need it. When it is given up in the middle, the writers
/// are told so: they get no more bytes, and a bad verdict.
async fn move_file(
    slots: &[Slot],
    reader: &dyn Reader,
    (id, size): LargeFile,
    needs: &Needs,
) -> Result<Completeness> {
    let writers: Vec<_> = slots
        .iter()
        .zip(needs)
        .filter(|(slot, needs)| needs.contains(&id) && !slot.is_out())
        .map(|(slot, _)| slot)
        .collect();
    if writers.is_empty() {
        return Ok(Completeness::Complete);
    }
    let (pipe, outputs) = pipe::pipe(writers.len());
    let given_up = CancellationToken::new();
    let _guard = (given_up.clone().drop_guard(), pipe.guard());
    let verdict = reader.read(id, size, pipe).await?;
    let verdict = or_given_up(verdict, given_up).boxed().shared();
    let puts = writers.iter().zip(outputs).map(async |(slot, bytes)| {
        let verdict = verdict.clone();
        slot.take(bytes.backlog(), async |writer| {
            writer.put(id, Content { bytes, verdict }).await
        })
        .await;
    });
    // A reader that stalls in the middle has to be noticed.
    let listening = verdict.clone().then(|_| std::future::pending::<()>());
    tokio::select! {
        biased;
        _ = join_all(puts) => {}
        () = listening => {}
    }
    if writers.iter().all(|slot| slot.is_out()) && verdict.peek().is_none() {
        // They may all have failed for reasons of their own, and the contents were
        // given up in the middle: there is no verdict to wait for.
        return Ok(Completeness::Complete);
    }
    let ending = verdict.await.map_err(|error| error.of(reader.subject()))?;
    Ok(ending.completeness())
}

/// The verdict, or the fact that every writer has stopped waiting for it.
async fn or_given_up(
    verdict: Verdict,
    given_up: CancellationToken,
) -> Result<crate::contract::Ending> {
    tokio::select! {
        biased;
        verdict = verdict => verdict,
        () = given_up.cancelled() => Err(Error::new(Kind::Cancelled, "the contents were given up")),
    }
}
