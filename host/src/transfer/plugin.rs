//! A plugin as a reader and as a writer.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Reader, Writer};
use crate::contract::{Batch, Completeness, Receipt, SmallFile};
use crate::error::Result;
use crate::pipe::{Content, PipeWriter, Verdict};
use crate::plugin::{PluginReader, PluginWriter};

impl Reader for PluginReader {
    fn subject(&self) -> &str {
        self.subject()
    }

    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.concurrency(wanted).boxed()
    }

    fn next(&mut self, max: u32) -> BoxFuture<'_, Result<Batch>> {
        self.next(max).boxed()
    }

    fn read_small(&mut self, files: Vec<(u64, u64)>) -> BoxFuture<'_, Result<Vec<SmallFile>>> {
        self.read_small(files).boxed()
    }

    fn read(&self, id: u64, size: Option<u64>, pipe: PipeWriter) -> BoxFuture<'_, Result<Verdict>> {
        self.read(id, size, pipe).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Completeness>> {
        (*self).finish().boxed()
    }
}

impl Writer for PluginWriter {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.concurrency(wanted).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        self.offer(entries).boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        self.put_small(files).boxed()
    }

    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        self.put(id, content).boxed()
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        (*self).commit(completeness).boxed()
    }
}
