//! `trees.restoration`: a tree into a granted directory.

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::Answer;
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types;
use crate::plugin::state::State;

pub struct Restoration;

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
        todo!()
    }

    async fn offer(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        entries: Vec<types::Entry>,
    ) -> Answer<Vec<u64>> {
        todo!()
    }

    async fn put_small(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        files: Vec<types::Small>,
    ) -> Answer<()> {
        todo!()
    }

    async fn put(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<types::Ending, types::Error>>,
    ) -> Answer<()> {
        todo!()
    }

    async fn commit(
        accessor: &Accessor<State, Self>,
        restoration: Resource<Restoration>,
        top: Option<types::Metadata>,
    ) -> Answer<trees::Changes> {
        todo!()
    }
}
