//! A writer that stores nothing, for dry runs.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::Writer;
use crate::contract::{Batch, Completeness, Receipt, SmallFile};
use crate::error::Result;
use crate::pipe::Content;

/// Takes a tree without asking for any contents, to see what there is.
pub(crate) struct DryRunWriter;

impl Writer for DryRunWriter {
    fn concurrency(&self, _: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(1)).boxed()
    }

    fn offer(&mut self, _: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        ready(Ok(HashSet::new())).boxed()
    }

    fn put_small(&mut self, _: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    fn put(&self, _: u64, _: Content) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        ready(Ok(Receipt::default())).boxed()
    }
}
