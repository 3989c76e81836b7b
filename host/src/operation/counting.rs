//! A writer that counts the bytes that it takes.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::allowance::TakenBytes;
use crate::contract::{Batch, Completeness, Entry, EntryKind, Receipt, SmallFile};
use crate::error::Result;
use crate::pipe::Content;
use crate::transfer::Writer;

/// Counts the bytes that a writer takes.
pub(super) struct CountingWriter {
    pub(super) writer: Box<dyn Writer>,
    pub(super) taken: TakenBytes,
}

impl Writer for CountingWriter {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.writer.concurrency(wanted)
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let is_file = |entry: &&Entry| matches!(entry.kind, EntryKind::File(_));
        let files = entries.iter().filter(is_file).count() as u64;
        async move {
            let needs = self.writer.offer(entries).await?;
            self.taken.note(files, 0);
            Ok(needs)
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        let bytes = files.iter().map(|file| file.contents.len() as u64).sum();
        async move {
            self.writer.put_small(files).await?;
            self.taken.note(0, bytes);
            Ok(())
        }
        .boxed()
    }

    fn put(&self, id: u64, mut content: Content) -> BoxFuture<'_, Result<()>> {
        content.bytes.count_in(self.taken.counter());
        self.writer.put(id, content)
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        self.writer.commit(completeness)
    }
}
