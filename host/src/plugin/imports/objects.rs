//! `objects`: the store of a sink, which is another plugin.
//!
//! It defends against a sink that makes a store access anything but its objects (names are validated), and against either plugin
//! using the memory or the time of the other, or getting the blame for it.

use std::sync::Arc;

use futures::FutureExt as _;
use wasmtime::component::{Accessor, FutureReader, HasSelf, StreamReader};

use crate::contract::{self, BytesOf, Invalid, ObjectName, ObjectPart};
use crate::error::Result;
use crate::pipe::{self, CAPACITY, Content, Meter};
use crate::plugin::bindings::common::tthost::backup::objects::{
    Existing, Host, HostWithStore, Object, ObjectStat, Page, Part,
};
use crate::plugin::bindings::types;
use crate::plugin::convert::to_contract;
use crate::plugin::exports::ObjectStore;
use crate::plugin::memory::Memory;
use crate::plugin::stall::Dependencies;
use crate::plugin::state::State;
use crate::plugin::streams::{self, Announced, Drained};

type Body = (StreamReader<u8>, FutureReader<Result<(), types::Error>>);

/// The store of a sink, and the accounting of the host between the two.
struct Served {
    store: Arc<ObjectStore>,
    dependencies: Dependencies,
    memory: Memory,
}

impl Served {
    fn of(accessor: &Accessor<State>) -> Result<Self, types::Error> {
        accessor.with(|mut access| {
            let state = access.get();
            let store = state.store.clone().ok_or_else(|| {
                types::Error::Denied("no store is granted: add `store` to its configuration".into())
            })?;
            Ok(Self {
                store,
                dependencies: state.dependencies.clone(),
                memory: state.memory.clone(),
            })
        })
    }

    /// Has the store do something, for which the sink waits.
    async fn ask<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, types::Error> {
        let _dependency = self.dependencies.begin(|| true);
        work.await.map_err(|error| to_contract(&error))
    }

    async fn put(
        &self,
        accessor: &Accessor<State>,
        name: ObjectName,
        size: u64,
        existing: Existing,
        body: Body,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let _share = match self.memory.hold(CAPACITY) {
            Ok(share) => share,
            Err(error) => return Ok(Err(error)),
        };
        let (writer, bytes) = pipe::single();
        let file = Announced {
            whose: BytesOf::Object(name.clone()),
            size: Some(size),
        };
        let verdict = accessor.with(|mut access| {
            streams::take_in(&mut access, file, body, writer, Meter::new(None), None)
        })?;
        let (backlog, told) = (bytes.backlog(), verdict.clone());
        // While the store has nothing to read, the host waits for the sink.
        let _dependency = self
            .dependencies
            .begin(move || !backlog.is_empty() || (backlog.is_closed() && told.peek().is_some()));
        let content = Content { bytes, verdict };
        let put = self.store.put(name, size, existing.into(), content).await;
        Ok(put.map_err(|error| to_contract(&error)))
    }

    async fn get(
        &self,
        accessor: &Accessor<State>,
        name: ObjectName,
        part: Option<ObjectPart>,
    ) -> wasmtime::Result<Result<Body, types::Error>> {
        let share = match self.memory.hold(CAPACITY) {
            Ok(share) => share,
            Err(error) => return Ok(Err(error)),
        };
        let Content { bytes, verdict } = match self.ask(self.store.get(name, part)).await {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        let (backlog, told) = (bytes.backlog(), verdict.clone());
        // As long as the sink has something to take, it is the one that is waited for.
        let dependency = self
            .dependencies
            .begin(move || backlog.is_empty() && (!backlog.is_closed() || told.peek().is_none()));
        let verdict = async move {
            let told = verdict.await;
            drop((dependency, share));
            told
        };
        let content = Content {
            bytes,
            verdict: verdict.boxed().shared(),
        };
        let body =
            accessor.with(|mut access| streams::feed(&mut access, content, Drained::default()))?;
        Ok(Ok(body))
    }
}

impl Host for State {}

impl HostWithStore<State> for HasSelf<State> {
    async fn put(
        accessor: &Accessor<State, Self>,
        name: String,
        size: u64,
        existing: Existing,
        (mut stream, mut verdict): Body,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let asked = Served::of(accessor).and_then(|served| Ok((served, named(name)?)));
        match asked {
            Ok((served, name)) => {
                let body = (stream, verdict);
                served.put(accessor, name, size, existing, body).await
            }
            Err(error) => accessor.with(|mut access| {
                stream.close(&mut access)?;
                verdict.close(&mut access)?;
                Ok(Err(error))
            }),
        }
    }

    async fn get(
        accessor: &Accessor<State, Self>,
        name: String,
        part: Option<Part>,
    ) -> wasmtime::Result<Result<Body, types::Error>> {
        let asked = Served::of(accessor).and_then(|served| {
            let part = part.map(|part| ObjectPart::new(part.offset, part.length));
            Ok((served, named(name)?, part.transpose().map_err(refused)?))
        });
        match asked {
            Ok((served, name, part)) => served.get(accessor, name, part).await,
            Err(error) => Ok(Err(error)),
        }
    }

    async fn list(
        accessor: &Accessor<State, Self>,
        prefix: String,
        after: Option<String>,
    ) -> wasmtime::Result<Result<Page, types::Error>> {
        let listed = async {
            let served = Served::of(accessor)?;
            let prefix = ObjectName::prefix(prefix).map_err(refused)?;
            let page = served.ask(served.store.list(prefix, after)).await?;
            let objects = page.objects.into_iter().map(|object| Object {
                name: object.name.to_string(),
                size: object.size,
            });
            Ok(Page {
                objects: objects.collect(),
                next: page.next,
            })
        };
        Ok(listed.await)
    }

    async fn stat(
        accessor: &Accessor<State, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Option<ObjectStat>, types::Error>> {
        let known = async {
            let served = Served::of(accessor)?;
            let stat = served.ask(served.store.stat(named(name)?)).await?;
            Ok(stat.map(|stat| ObjectStat {
                size: stat.size,
                stored: stat.stored.map(Into::into),
            }))
        };
        Ok(known.await)
    }

    async fn remove(
        accessor: &Accessor<State, Self>,
        name: String,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let removed = async {
            let served = Served::of(accessor)?;
            served.ask(served.store.remove(named(name)?)).await
        };
        Ok(removed.await)
    }
}

fn named(name: String) -> Result<ObjectName, types::Error> {
    ObjectName::new(name).map_err(refused)
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn refused(invalid: Invalid) -> types::Error {
    types::Error::Denied(invalid.to_string())
}

impl From<Existing> for contract::Existing {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Replaced => Self::Replaced,
            Existing::Kept => Self::Kept,
        }
    }
}
