//! A capture that resumes containers as soon as it has been read, before uploads end.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tracing::Instrument as _;

use crate::contract::{Batch, Completeness, SmallFile};
use crate::error::{Error, Result};
use crate::pipe::{PipeWriter, Verdict};
use crate::transfer::Reader;
use crate::volume::Quiesce;

/// The actions that have to be reverted after a source was read. Clones share them.
#[derive(Clone)]
pub(super) struct Quiesced {
    released: Shared<BoxFuture<'static, Arc<[Error]>>>,
}

/// A reader that lets the volumes of its source go when it has ended.
pub(super) struct QuiescedReader {
    reader: Box<dyn Reader>,
    quiesced: Quiesced,
}

impl Quiesced {
    /// Holds all this for the source that is called so.
    pub(super) fn new(quiesce: Quiesce, subject: String) -> Self {
        let released = async move {
            // It continues even if the caller stops waiting.
            let releasing = async move { quiesce.release(&subject).await };
            let releasing = tokio::spawn(releasing.in_current_span());
            releasing.await.unwrap_or_default().into()
        };
        Self {
            released: released.boxed().shared(),
        }
    }

    /// The reader of the source.
    pub(super) fn reader(&self, reader: Box<dyn Reader>) -> Box<dyn Reader> {
        Box::new(QuiescedReader {
            reader,
            quiesced: self.clone(),
        })
    }

    /// Undoes everything, if that was not done before. Answers what could not be undone.
    pub(super) async fn release(&self) -> Arc<[Error]> {
        self.released.clone().await
    }
}

impl Reader for QuiescedReader {
    fn subject(&self) -> &str {
        self.reader.subject()
    }

    fn bytes(&self) -> u64 {
        self.reader.bytes()
    }

    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        self.reader.concurrency(wanted)
    }

    fn next(&mut self, max: u32) -> BoxFuture<'_, Result<Batch>> {
        self.reader.next(max)
    }

    fn read_small(&mut self, files: Vec<(u64, u64)>) -> BoxFuture<'_, Result<Vec<SmallFile>>> {
        self.reader.read_small(files)
    }

    fn read(&self, id: u64, size: Option<u64>, pipe: PipeWriter) -> BoxFuture<'_, Result<Verdict>> {
        self.reader.read(id, size, pipe)
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Completeness>> {
        async move {
            let finished = self.reader.finish().await;
            self.quiesced.release().await;
            finished
        }
        .boxed()
    }
}
