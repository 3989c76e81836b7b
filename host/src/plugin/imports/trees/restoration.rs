//! `trees.restoration`: restores a tree into a granted directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::RwLock;
use tokio::task::block_in_place;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{Answer, failed, ungranted};
use crate::contract::{self, BytesOf, Entry, EntryKind, Metadata, Receipt, Sequence, SmallFile};
use crate::error::{Error, Kind};
use crate::event::Events;
use crate::grant::{Purpose, Restoration as Restore};
use crate::journal::Journal;
use crate::pipe::{self, Content, Meter};
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types;
use crate::plugin::convert::to_contract;
use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::State;
use crate::plugin::streams::{self, Announced};
use crate::tree::{DryRun, Root, TreeWriter};

/// Restorations that a plugin can begin in all: each takes threads, and room in what is written down to be undone.
const MOST_EVER: usize = 1024;

/// A tree on its way onto the disk; none after its end. Streams of contents share it, all else has it
/// alone.
pub struct Restoration(Arc<RwLock<Option<Progress>>>);

/// A tree of which entries have come.
pub struct Progress {
    /// What the plugin offers is a tree only when this admits it.
    sequence: Sequence,
    /// What was announced of the files of the last batch.
    sizes: HashMap<u64, u64>,
    /// What is kept of the last batch until its contents have come.
    held: Option<Share>,
    output: Output,
}

/// What is done with the tree.
enum Output {
    Write(Box<TreeWriter>),
    DryRun(Box<DryRun>),
}

impl Progress {
    fn begin(
        root: &Root,
        purpose: Purpose,
        events: Arc<dyn Events>,
        journal: &Journal,
    ) -> std::io::Result<Self> {
        let refused = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let restoration = purpose.restoration().ok_or_else(refused)?;
        let (directory, path) = root.target()?.ok_or_else(refused)?;
        let output = match restoration {
            Restore::DryRun { delete } => {
                let dry_run = DryRun::new(Some(directory), path, delete, events);
                Output::DryRun(Box::new(dry_run))
            }
            Restore::Write(options) => {
                let writer = TreeWriter::new(directory, path, options, journal);
                Output::Write(Box::new(writer))
            }
        };
        Ok(Self {
            sequence: Sequence::default(),
            sizes: HashMap::new(),
            held: None,
            output,
        })
    }

    fn offer(&mut self, entries: Vec<Entry>, held: Share) -> Result<Vec<u64>, types::Error> {
        let batch = self.sequence.admit(entries);
        let batch = batch.map_err(|invalid| types::Error::Denied(invalid.to_string()))?;
        self.held = Some(held);
        self.sizes = batch
            .iter()
            .filter_map(|entry| match entry.kind {
                EntryKind::File(Some(size)) => Some((entry.id, size)),
                _ => None,
            })
            .collect();
        let needs = match &mut self.output {
            Output::Write(writer) => block_in_place(|| writer.offer(&batch)),
            Output::DryRun(dry_run) => {
                block_in_place(|| dry_run.offer(&batch)).map(|()| HashSet::new())
            }
        };
        match needs {
            Ok(needs) => Ok(needs.into_iter().collect()),
            Err(error) => Err(to_contract(&error)),
        }
    }

    fn put_small(&self, files: &[SmallFile]) -> Result<(), types::Error> {
        match &self.output {
            Output::Write(writer) => {
                for file in files {
                    let (size, length) = (self.size(file.id), file.contents.len() as u64);
                    contract::check_length(&BytesOf::Entry(file.id), size, file.ending, length)
                        .map_err(|invalid| Error::new(Kind::Plugin, invalid.to_string()))
                        .map_err(|error| to_contract(&error))?;
                }
                block_in_place(|| writer.put_small(files)).map_err(|error| to_contract(&error))
            }
            Output::DryRun(_) => Ok(()),
        }
    }

    fn size(&self, id: u64) -> Option<u64> {
        self.sizes.get(&id).copied()
    }

    async fn put(&self, id: u64, content: Content) -> crate::error::Result<()> {
        match &self.output {
            Output::Write(writer) => writer.put(id, content).await,
            Output::DryRun(_) => Ok(()),
        }
    }

    fn complete(self, root: Option<types::Metadata>) -> Result<Receipt, types::Error> {
        let root = root.map(Metadata::try_from).transpose();
        let root = root.map_err(|invalid| types::Error::Denied(invalid.to_string()))?;
        let completed = block_in_place(|| match self.output {
            Output::Write(writer) => writer.complete(root.as_ref()),
            Output::DryRun(dry_run) => dry_run.complete(),
        });
        completed.map_err(|error| to_contract(&error))
    }
}

impl trees::HostRestoration for State {
    fn concurrency(&mut self, _: Resource<Restoration>, wanted: u32) -> wasmtime::Result<u32> {
        Ok(wanted)
    }

    fn drop(&mut self, restoration: Resource<Restoration>) -> wasmtime::Result<()> {
        self.table.delete(restoration)?;
        Ok(())
    }
}

impl trees::HostRestorationWithStore<State> for HasSelf<State> {
    async fn begin(
        accessor: &Accessor<State, Self>,
        name: String,
        root: u32,
    ) -> Answer<Resource<Restoration>> {
        accessor.with(|mut access| {
            let state = access.get();
            let root = state
                .trees
                .get(&name)
                .and_then(|roots| roots.get(root as usize));
            let Some(root) = root else {
                return Ok(Err(ungranted(&name)));
            };
            let Some(leftovers) = &state.leftovers else {
                return Ok(Err(ungranted(&name)));
            };
            if state.restorations >= MOST_EVER {
                return Ok(Err(types::Error::Denied(format!(
                    "{MOST_EVER} restorations were begun already"
                ))));
            }
            state.restorations += 1;
            let (purpose, events) = (state.grants.purpose, state.events.clone());
            match Progress::begin(root, purpose, events, leftovers.journal()) {
                Ok(progress) => {
                    let restoration = Restoration(Arc::new(RwLock::new(Some(progress))));
                    Ok(Ok(state.table.push(restoration)?))
                }
                Err(cause) => Ok(Err(failed(&cause))),
            }
        })
    }

    async fn offer(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        entries: Vec<types::Entry>,
    ) -> Answer<Vec<u64>> {
        let (progress, memory) = of(accessor, &restoration)?;
        // Other calls may be under way, for which it waits.
        let (entries, held) = match take_over(entries, &memory) {
            Ok(taken) => taken,
            Err(error) => return Ok(Err(error)),
        };
        match &mut *progress.write().await {
            Some(progress) => Ok(progress.offer(entries, held)),
            None => Ok(Err(over())),
        }
    }

    async fn put_small(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        files: Vec<types::Small>,
    ) -> Answer<()> {
        let (progress, memory) = of(accessor, &restoration)?;
        // They are written after the call.
        let files: Result<Vec<_>, _> = files
            .into_iter()
            .map(|file| SmallFile::from(file).charged_to(&memory))
            .collect();
        let files = match files {
            Ok(files) => files,
            Err(error) => return Ok(Err(error)),
        };
        match &*progress.read().await {
            Some(progress) => Ok(progress.put_small(&files)),
            None => Ok(Err(over())),
        }
    }

    async fn put(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<types::Ending, types::Error>>,
    ) -> Answer<()> {
        let (progress, memory) = of(accessor, &restoration)?;
        let progress = progress.read().await;
        let Some(progress) = &*progress else {
            return Ok(Err(over()));
        };
        let file = Announced {
            whose: BytesOf::Entry(id),
            size: progress.size(id),
        };
        // Each waits for as much as a pipe holds.
        let _held = match memory.hold(pipe::CAPACITY) {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let (pipe, bytes) = pipe::single();
        let content = accessor.with(|mut access| {
            // What the plugin passes on was counted where it came from, and if the plugin ends,
            // so does this.
            let (meter, exit_status) = (Meter::new(None), None);
            let contents = (contents, verdict);
            let verdict = streams::take_in(&mut access, file, contents, pipe, meter, exit_status)?;
            Ok::<_, wasmtime::Error>(Content { bytes, verdict })
        })?;
        let put = progress.put(id, content).await;
        Ok(put.map_err(|error| to_contract(&error)))
    }

    async fn commit(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        root: Option<types::Metadata>,
    ) -> Answer<trees::Changes> {
        let restoration = accessor.with(|mut access| access.get().table.delete(restoration))?;
        let Some(progress) = restoration.0.write().await.take() else {
            return Ok(Err(over()));
        };
        let unrestored = accessor.with(|mut access| access.get().unrestored.clone());
        let changes = |receipt: Receipt| trees::Changes {
            created: receipt.files_new,
            replaced: receipt.files_changed,
            removed: receipt.removed,
            files: receipt.files_total,
            bytes: receipt.bytes_total,
        };
        Ok(progress.complete(root).map(|receipt| {
            unrestored.fetch_add(receipt.failed, Ordering::Relaxed);
            changes(receipt)
        }))
    }
}

/// How far a restoration has come, and the memory of its plugin.
fn of(
    accessor: &Accessor<State, HasSelf<State>>,
    restoration: &Resource<Restoration>,
) -> wasmtime::Result<(Arc<RwLock<Option<Progress>>>, Memory)> {
    accessor.with(|mut access| {
        let state = access.get();
        let progress = state.table.get(restoration)?.0.clone();
        Ok((progress, state.memory.clone()))
    })
}

/// Entries that keep the contract, and room for what is kept of them until their contents have come: each, and its place.
fn take_over(
    entries: Vec<types::Entry>,
    memory: &Memory,
) -> Result<(Vec<Entry>, Share), types::Error> {
    let mut held = memory.hold(0)?;
    let entries = entries.into_iter().map(|entry| {
        let entry =
            Entry::try_from(entry).map_err(|invalid| types::Error::Denied(invalid.to_string()))?;
        held.grow(2 * entry.weight())?;
        Ok(entry)
    });
    let entries: Result<Vec<_>, types::Error> = entries.collect();
    Ok((entries?, held))
}

fn over() -> types::Error {
    types::Error::Other("the restoration is over".into())
}
