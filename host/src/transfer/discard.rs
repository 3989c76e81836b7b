//! Reads a tree to its end and discards it.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::Writer;
use crate::contract::{Batch, Completeness, Ending, EntryKind, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;

/// Asks for all contents, which proves that they can be read.
pub(crate) struct Discard;

impl Writer for Discard {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(wanted)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let entries = entries.iter();
        let files = entries.filter(|entry| matches!(entry.kind, EntryKind::File(_)));
        let needed = files.map(|entry| entry.id).collect();
        ready(Ok(needed)).boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        let is_missing = files.iter().any(|file| file.contents().is_none());
        ready(if is_missing { Err(missing()) } else { Ok(()) }).boxed()
    }

    fn put(&self, _: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        async move {
            while content.bytes.next().await.is_some() {}
            match content.verdict.await? {
                Ending::Whole | Ending::Changed => Ok(()),
                Ending::Omitted => Err(missing()),
            }
        }
        .boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        ready(Ok(Receipt::default())).boxed()
    }
}

fn missing() -> Error {
    Error::new(Kind::Corrupt, "the contents of a file are missing")
}
