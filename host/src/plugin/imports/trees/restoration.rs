//! `trees.restoration`: a tree into a granted directory.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::block_in_place;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{Answer, failed, ungranted};
use crate::contract::{Entry, Metadata, Receipt, Sequence, SmallFile};
use crate::event::Events;
use crate::pipe::{self, Content, Meter};
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types;
use crate::plugin::convert::to_contract;
use crate::plugin::state::State;
use crate::plugin::streams;
use crate::tree::{DryRun, RestoreOptions, Root, TreeWriter};

/// A tree on its way onto the disk; none after its end.
pub struct Restoration(Arc<Mutex<Option<Progress>>>);

/// A tree of which entries have come.
pub struct Progress {
    /// What the plugin offers is a tree only when this admits it.
    sequence: Sequence,
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
        options: trees::RestoreOptions,
        events: Arc<dyn Events>,
    ) -> std::io::Result<Self> {
        let refused = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let (directory, path) = root.target()?.ok_or_else(refused)?;
        let output = if options.dry_run {
            let dry_run = DryRun::new(Some(directory), path, options.delete, events);
            Output::DryRun(Box::new(dry_run))
        } else {
            let options = RestoreOptions {
                delete: options.delete,
                verify: options.verify,
            };
            let writer = TreeWriter::new(directory, path, options);
            Output::Write(Box::new(writer))
        };
        Ok(Self {
            sequence: Sequence::default(),
            output,
        })
    }

    fn offer(&mut self, entries: Vec<types::Entry>) -> Result<Vec<u64>, types::Error> {
        let entries: Result<_, _> = entries.into_iter().map(Entry::try_from).collect();
        let batch = entries.and_then(|entries| self.sequence.admit(entries));
        let batch = batch.map_err(|invalid| types::Error::Denied(invalid.to_string()))?;
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

    fn put_small(&mut self, files: Vec<types::Small>) -> crate::error::Result<()> {
        match &mut self.output {
            Output::Write(writer) => {
                let files: Vec<_> = files.into_iter().map(SmallFile::from).collect();
                block_in_place(|| writer.put_small(&files))
            }
            Output::DryRun(_) => Ok(()),
        }
    }

    async fn put(&mut self, id: u64, content: Content) -> crate::error::Result<()> {
        match &mut self.output {
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
        options: trees::RestoreOptions,
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
            match Progress::begin(root, options, state.events.clone()) {
                Ok(progress) => {
                    let restoration = Restoration(Arc::new(Mutex::new(Some(progress))));
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
        let progress = progress(accessor, &restoration)?;
        match &mut *progress.lock().await {
            Some(progress) => Ok(progress.offer(entries)),
            None => Ok(Err(over())),
        }
    }

    async fn put_small(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        files: Vec<types::Small>,
    ) -> Answer<()> {
        let progress = progress(accessor, &restoration)?;
        match &mut *progress.lock().await {
            Some(progress) => Ok(progress
                .put_small(files)
                .map_err(|error| to_contract(&error))),
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
        let progress = progress(accessor, &restoration)?;
        let (pipe, mut readers) = pipe::pipe(1);
        let content = accessor.with(|mut access| {
            // What the plugin passes on was counted where it came from, and if the plugin ends,
            // so does this.
            let (_, exit_status) = watch::channel(None);
            let meter = Meter::new(None);
            let verdict =
                streams::take_in(&mut access, contents, verdict, pipe, meter, exit_status)?;
            Ok::<_, wasmtime::Error>(readers.pop().map(|bytes| Content { bytes, verdict }))
        })?;
        match (&mut *progress.lock().await, content) {
            (Some(progress), Some(content)) => {
                let put = progress.put(id, content).await;
                Ok(put.map_err(|error| to_contract(&error)))
            }
            _ => Ok(Err(over())),
        }
    }

    async fn commit(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        root: Option<types::Metadata>,
    ) -> Answer<trees::Changes> {
        let restoration = accessor.with(|mut access| access.get().table.delete(restoration))?;
        let Some(progress) = restoration.0.lock().await.take() else {
            return Ok(Err(over()));
        };
        let changes = |receipt: Receipt| trees::Changes {
            created: receipt.files_new,
            replaced: receipt.files_changed,
            removed: receipt.removed,
            files: receipt.files_total,
            bytes: receipt.bytes_total,
        };
        Ok(progress.complete(root).map(changes))
    }
}

fn progress(
    accessor: &Accessor<State, HasSelf<State>>,
    restoration: &Resource<Restoration>,
) -> wasmtime::Result<Arc<Mutex<Option<Progress>>>> {
    accessor.with(|mut access| Ok(access.get().table.get(restoration)?.0.clone()))
}

fn over() -> types::Error {
    types::Error::Other("the restoration is over".into())
}
