//! `trees`: the granted files.
//!
//! It defends against a plugin that tries to read or write outside of its granted trees, by names that are paths, by symbolic
//! links, or by replacing things during a walk (see [`crate::tree`]), and against a plugin that tries to write to a read-only
//! tree.

mod directory;
mod restoration;

use std::num::NonZero;
use std::thread::available_parallelism;

use futures::future::try_join_all;
use wasmtime::component::{Accessor, HasSelf};

use crate::error::{Error, Kind};
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types;
use crate::plugin::convert::to_contract;
use crate::plugin::state::State;
use crate::text::printable;

pub use directory::Directory;
pub use restoration::Restoration;

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl trees::Host for State {
    fn granted(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.trees.keys().cloned().collect())
    }
}

impl trees::HostWithStore<State> for HasSelf<State> {
    async fn open(accessor: &Accessor<State, Self>, name: String) -> Answer<Vec<trees::Root>> {
        let trees = accessor.with(|mut access| access.get().trees.get(&name).cloned());
        let Some(trees) = trees else {
            return Ok(Err(ungranted(&name)));
        };
        let opened = blocking(move || {
            let open = |tree: &crate::tree::Root| {
                let view = tree.view().clone();
                Ok((tree.ancestors()?, view.stat_self()?.device, view))
            };
            trees.iter().map(open).collect::<std::io::Result<Vec<_>>>()
        });
        let opened = match opened.await? {
            Ok(opened) => opened,
            Err(cause) => return Ok(Err(failed(&cause))),
        };
        accessor.with(|mut access| {
            let state = access.get();
            let mut roots = Vec::with_capacity(opened.len());
            for (ancestors, device, view) in opened {
                let ancestors = ancestors
                    .into_iter()
                    .map(|(name, metadata)| trees::Item {
                        name,
                        kind: types::Kind::Directory,
                        metadata: metadata.into(),
                    })
                    .collect();
                let root = trees::Root {
                    ancestors,
                    device,
                    directory: state.table.push(Directory::new(view))?,
                };
                roots.push(root);
            }
            Ok(Ok(roots))
        })
    }

    async fn read_small(
        accessor: &Accessor<State, Self>,
        files: Vec<trees::Wanted>,
    ) -> Answer<Vec<Result<trees::WholeFile, types::Error>>> {
        directory::read_small(accessor, files).await
    }
}

/// Does what may wait for a disk, where that holds nobody up.
async fn blocking<T: Send + 'static>(
    action: impl FnOnce() -> T + Send + 'static,
) -> wasmtime::Result<T> {
    Ok(tokio::task::spawn_blocking(action).await?)
}

/// Does the same with each of many things, unless they are sequential several at once: the system takes longer over them than
/// anybody else.
async fn blocking_each<T, R>(
    things: Vec<T>,
    are_sequential: bool,
    action: impl Fn(T) -> R + Clone + Send + 'static,
) -> wasmtime::Result<Vec<R>>
where
    T: Send + 'static,
    R: Send + 'static,
{
    /// Fewer things are not worth another thread.
    const MIN_PARALLEL: usize = 32;
    /// More threads would be another plugin's.
    const MAX_THREADS: usize = 4;

    let threads = available_parallelism().map_or(1, NonZero::get);
    let parts = if are_sequential {
        1
    } else {
        (things.len() / MIN_PARALLEL).clamp(1, threads.min(MAX_THREADS))
    };
    let length = things.len().div_ceil(parts).max(1);
    let mut things = things.into_iter();
    let parts: Vec<_> = (0..parts)
        .map(|_| {
            let (part, action) = (
                things.by_ref().take(length).collect::<Vec<_>>(),
                action.clone(),
            );
            tokio::task::spawn_blocking(move || part.into_iter().map(action).collect::<Vec<_>>())
        })
        .collect();
    Ok(try_join_all(parts).await?.into_iter().flatten().collect())
}

fn ungranted(name: &str) -> types::Error {
    types::Error::Denied(format!(
        "the tree {0} is not granted: add grants.trees.{0} to its configuration",
        printable(name)
    ))
}

/// What a plugin is told of the system's refusal. The plugin knows what it is about.
fn failed(cause: &std::io::Error) -> types::Error {
    to_contract(&Error::new(Kind::of_system(cause), cause.to_string()))
}
