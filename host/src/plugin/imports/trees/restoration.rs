//! `trees.restoration`: a tree into a granted directory.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::block_in_place;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{Answer, failed, ungranted};
use crate::event::Events;
use crate::operation::Receipt;
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types::{self, Completeness};
use crate::plugin::state::State;
use crate::plugin::streams::{self, Meter};
use crate::plugin::to_contract;
use crate::transfer::{Contents, DirectoryWriter, Manner, Plan, Writer, pipe};
use crate::tree::Root;

/// A tree on its way onto the disk; none after its end.
pub struct Restoration(Arc<Mutex<Option<Way>>>);

/// What is done with the tree.
enum Way {
    Write(Box<DirectoryWriter>),
    Plan(Box<Plan>),
}

impl Way {
    fn begin(root: &Root, manner: trees::Manner, events: Arc<dyn Events>) -> std::io::Result<Self> {
        let refused = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let (place, path) = root.place()?.ok_or_else(refused)?;
        if manner.dry_run {
            let plan = Plan::new(Some(place), path, manner.delete, events);
            return Ok(Self::Plan(Box::new(plan)));
        }
        let manner = Manner {
            delete: manner.delete,
            verify: manner.verify,
        };
        let writer = DirectoryWriter::new(place, path, manner, events);
        Ok(Self::Write(Box::new(writer)))
    }

    fn writer(&mut self) -> &mut dyn Writer {
        match self {
            Self::Write(writer) => &mut **writer,
            Self::Plan(plan) => &mut **plan,
        }
    }

    async fn complete(self, top: Option<types::Metadata>) -> crate::error::Result<Receipt> {
        match self {
            Self::Write(writer) => block_in_place(|| writer.complete(top.as_ref())),
            Self::Plan(plan) => plan.commit(Completeness::Complete).await,
        }
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
        manner: trees::Manner,
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
            match Way::begin(root, manner, state.events.clone()) {
                Ok(way) => {
                    let restoration = Restoration(Arc::new(Mutex::new(Some(way))));
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
        let way = way(accessor, &restoration)?;
        let mut way = way.lock().await;
        let Some(way) = &mut *way else {
            return Ok(Err(over()));
        };
        let needs = way.writer().offer(entries.into()).await;
        let needs = needs.map(|needs| needs.into_iter().collect());
        Ok(needs.map_err(|error| to_contract(&error)))
    }

    async fn put_small(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        files: Vec<types::Small>,
    ) -> Answer<()> {
        let way = way(accessor, &restoration)?;
        let mut way = way.lock().await;
        let Some(way) = &mut *way else {
            return Ok(Err(over()));
        };
        let files = files
            .into_iter()
            .map(|file| (file.id, file.contents.map(Into::into)));
        let put = way.writer().put_small(files.collect()).await;
        Ok(put.map_err(|error| to_contract(&error)))
    }

    async fn put(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<types::Ending, types::Error>>,
    ) -> Answer<()> {
        let way = way(accessor, &restoration)?;
        let (inlet, mut outlets) = pipe::pipe(1);
        let contents = accessor.with(|mut access| {
            // What the plugin passes on was counted where it came from, and if the plugin ends,
            // so does this.
            let (_, obituary) = watch::channel(None);
            let meter = Meter::new(None);
            let verdict = streams::take_in(&mut access, contents, verdict, inlet, meter, obituary)?;
            Ok::<_, wasmtime::Error>(outlets.pop().map(|outlet| Contents { outlet, verdict }))
        })?;
        let mut way = way.lock().await;
        let (Some(way), Some(contents)) = (&mut *way, contents) else {
            return Ok(Err(over()));
        };
        let put = way.writer().put(id, contents).await;
        Ok(put.map_err(|error| to_contract(&error)))
    }

    async fn commit(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        top: Option<types::Metadata>,
    ) -> Answer<trees::Changes> {
        let restoration = accessor.with(|mut access| access.get().table.delete(restoration))?;
        let Some(way) = restoration.0.lock().await.take() else {
            return Ok(Err(over()));
        };
        let changes = |receipt: Receipt| trees::Changes {
            created: receipt.files_new,
            replaced: receipt.files_changed,
            removed: receipt.removed,
            files: receipt.files_total,
            bytes: receipt.bytes_total,
        };
        let completed = way.complete(top).await;
        Ok(completed.map(changes).map_err(|error| to_contract(&error)))
    }
}

fn way(
    accessor: &Accessor<State, HasSelf<State>>,
    restoration: &Resource<Restoration>,
) -> wasmtime::Result<Arc<Mutex<Option<Way>>>> {
    accessor.with(|mut access| Ok(access.get().table.get(restoration)?.0.clone()))
}

fn over() -> types::Error {
    types::Error::Other("the restoration is over".into())
}
