//! A directory on disk as a writer.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::task::block_in_place;

use super::Writer;
use crate::contract::{Batch, Completeness, Receipt, SmallFile};
use crate::error::Result;
use crate::pipe::Content;
use crate::tree::{DryRun, TreeWriter};

impl Writer for TreeWriter {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(wanted)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move { block_in_place(|| self.offer(&entries)) }.boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        async move { block_in_place(|| TreeWriter::put_small(self, &files)) }.boxed()
    }

    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        self.put(id, content).boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move { block_in_place(|| self.complete(None)) }.boxed()
    }
}

impl Writer for DryRun {
    fn concurrency(&self, _: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(1)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move { block_in_place(|| self.offer(&entries)).map(|()| HashSet::new()) }.boxed()
    }

    fn put_small(&mut self, _: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    fn put(&self, _: u64, _: Content) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move { block_in_place(|| self.complete()) }.boxed()
    }
}
