//! Moving a tree from one reader into many writers.
//!
//! A backup moves a source's capture into sinks, a restoration a sink's snapshot into a
//! source, a directory or a stream; the course is the same, and the contract describes it
//! at its interface `transfer`. A writer that fails drops out, the others go on.

mod contents;
mod directory;
mod filter;
mod order;
mod patience;
pub(crate) mod pipe;
mod reader;
mod rehearsal;
mod single;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::{BoxFuture, join, join_all};

use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::operation::Receipt;
use crate::plugin::bindings::types::{self, Completeness, Ending, Entry};
use order::Order;

pub(crate) use contents::Contents;
pub(crate) use directory::{DirectoryWriter, Manner, Plan, failed as unrestored};
pub(crate) use filter::Filter;
pub(crate) use patience::patiently;
pub(crate) use reader::Reader;
pub(crate) use rehearsal::Rehearsal;
pub(crate) use single::SingleWriter;
pub(crate) use writer::PluginWriter;

/// Entries that are moved at a time.
const BATCH: u32 = 1024;

/// Files up to this many bytes travel together and whole.
const SMALL: u64 = 512 << 10;

/// Small files are read in groups of so many bytes, one group while the one before is written.
const GROUP: u64 = 1 << 20;

/// The contents of a small file, and the number of its entry; none when they cannot be had.
type Small = (u64, Option<bytes::Bytes>);

/// The entries of a batch whose contents each writer needs.
type Needs = Vec<HashSet<u64>>;

/// Small contents that were read together, for each writer what it needs of them.
#[derive(Default)]
struct Group(Vec<Vec<Small>>);

/// Where a tree goes; see the contract's `writer`.
pub(crate) trait Writer: Send {
    /// Takes the next entries and answers the numbers of those whose contents it needs.
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>>;

    /// Takes small contents, whole.
    fn put_small(&mut self, files: Vec<Small>) -> BoxFuture<'_, Result<()>>;

    /// Takes the contents of one file, and waits for their verdict.
    fn put(&mut self, id: u64, contents: Contents) -> BoxFuture<'_, Result<()>>;

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
    mut reader: Reader,
    writers: Vec<Box<dyn Writer>>,
    events: &dyn Events,
) -> Result<Moved> {
    let mut course = Course {
        places: writers.into_iter().map(Ok).collect(),
        order: Order::default(),
        files: 0,
        completeness: Completeness::Complete,
    };
    let mut batch = course.admit(reader.next(BATCH).await?, &reader)?;
    // What the writers have yet to get of the batch before.
    let mut rest = Group::default();
    while !batch.is_empty() && !course.nobody_left() {
        // The reader goes on while the writers work.
        let (needs, ahead) = join(course.put_and_offer(rest, &batch), reader.next(BATCH)).await;
        let ahead = ahead?;
        rest = course
            .move_batch(&mut reader, &batch, &needs, events)
            .await?;
        batch = course.admit(ahead, &reader)?;
    }
    course.put_small(rest).await;
    let bytes = reader.bytes();
    let mut completeness = course.completeness;
    if !course.nobody_left() && reader.finish().await? == Completeness::Incomplete {
        completeness = Completeness::Incomplete;
    }
    let receipts = join_all(
        course
            .places
            .into_iter()
            .map(async |place| place?.commit(completeness).await),
    )
    .await;
    Ok(Moved {
        receipts,
        files: course.files,
        bytes,
        completeness,
    })
}

struct Course {
    places: Vec<Result<Box<dyn Writer>>>,
    order: Order,
    files: u64,
    completeness: Completeness,
}

impl Course {
    fn nobody_left(&self) -> bool {
        self.places.iter().all(Result::is_err)
    }

    /// Refuses a batch that does not continue the tree.
    fn admit(&mut self, batch: Arc<[Entry]>, reader: &Reader) -> Result<Arc<[Entry]>> {
        let mut admitted = batch.iter().map(|entry| self.order.admit(entry));
        match admitted.find_map(std::result::Result::err) {
            Some(fault) => Err(reader.blame(fault)),
            None => Ok(batch),
        }
    }

    /// Moves the contents that are needed, except for a last group of small ones, which it
    /// answers.
    async fn move_batch(
        &mut self,
        reader: &mut Reader,
        batch: &[Entry],
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<Group> {
        let mut small = Vec::new();
        let mut small_bytes = 0;
        let mut read = Group::default();
        for entry in batch {
            let types::Kind::File(size) = entry.kind else {
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
    async fn put_and_offer(&mut self, rest: Group, batch: &Arc<[Entry]>) -> Needs {
        self.put_small(rest).await;
        self.offer(batch).await
    }

    /// What each writer needs, nothing for those that are gone.
    async fn offer(&mut self, batch: &Arc<[Entry]>) -> Needs {
        let files: HashSet<_> = batch
            .iter()
            .filter(|entry| matches!(entry.kind, types::Kind::File(_)))
            .map(|entry| entry.id)
            .collect();
        let asked = join_all(self.places.iter_mut().map(async |place| {
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
        reader: &mut Reader,
        wanted: Vec<(u64, u64)>,
        needs: &Needs,
        before: Group,
    ) -> Result<Group> {
        if wanted.is_empty() {
            return Ok(before);
        }
        let (files, ()) = join(reader.read_small(wanted), self.put_small(before)).await;
        let files = files?;
        if files.iter().any(|(_, contents)| contents.is_none()) {
            self.completeness = Completeness::Incomplete;
        }
        let wanted = needs.iter().map(|needs| {
            let wanted = files.iter().filter(|(id, _)| needs.contains(id));
            wanted.cloned().collect()
        });
        Ok(Group(wanted.collect()))
    }

    /// Hands each writer its part of a group.
    async fn put_small(&mut self, group: Group) {
        let parts = self.places.iter_mut().zip(group.0);
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
        reader: &mut Reader,
        id: u64,
        needs: &Needs,
        events: &dyn Events,
    ) -> Result<()> {
        let takers: Vec<_> = (0..self.places.len())
            .filter(|index| needs[*index].contains(&id) && self.places[*index].is_ok())
            .collect();
        let (inlet, outlets) = pipe::pipe(takers.len());
        let verdict = reader.read(id, inlet).await?;
        let mut outlets = outlets.into_iter();
        {
            let files = self.files;
            let puts = join_all(self.places.iter_mut().enumerate().map(|(index, place)| {
                let outlet = if takers.contains(&index) {
                    outlets.next()
                } else {
                    None
                };
                let verdict = verdict.clone();
                async move {
                    let (Ok(writer), Some(outlet)) = (&mut *place, outlet) else {
                        return;
                    };
                    if let Err(error) = writer.put(id, Contents { outlet, verdict }).await {
                        *place = Err(error);
                    }
                }
            }));
            let mut puts = std::pin::pin!(puts);
            let mut beat = tokio::time::interval(std::time::Duration::from_millis(200));
            loop {
                tokio::select! {
                    _ = &mut puts => break,
                    _ = beat.tick() => events.transferred(files, reader.bytes()),
                }
            }
        }
        if self.nobody_left() && verdict.peek().is_none() {
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
