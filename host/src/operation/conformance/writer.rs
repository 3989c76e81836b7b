//! A tree on its way into the plugin.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tthost_conformance::Body;
use tthost_conformance::host::{self, CallFuture, Given, Then};
use tthost_conformance::model;

use super::calls::{self, Amount as _};
use super::convert;
use crate::contract::{Batch, Ending, Sequence};
use crate::error::{Error, Kind, Result};
use crate::pipe::{self, Content, PipeWriter};
use crate::plugin::{GRACE, PluginWriter};

/// Bytes that are made up at a time.
const PIECE: usize = 256 << 10;

/// A writer, with what the host sees to of the tree that it gets.
pub(super) struct Writer {
    writer: PluginWriter,
    sequence: Sequence,
}

impl Writer {
    pub(super) fn new(writer: PluginWriter) -> Self {
        Self {
            writer,
            sequence: Sequence::default(),
        }
    }

    fn batch(&mut self, entries: Vec<model::Entry>) -> Result<Batch> {
        let entries: Result<Vec<_>, _> = entries.into_iter().map(convert::entry).collect();
        let batch = entries.and_then(|entries| self.sequence.admit(entries));
        batch.map_err(|invalid| Error::new(Kind::Other, format!("the sample: {invalid}")))
    }
}

impl host::Writer for Writer {
    fn concurrency(&self, wanted: u32) -> CallFuture<'_, u32> {
        calls::traced(
            "writer.concurrency",
            wanted,
            self.writer.concurrency(wanted),
        )
    }

    fn offer(&mut self, entries: Vec<model::Entry>) -> CallFuture<'_, Vec<u64>> {
        let given = entries.amount();
        let offering = async move {
            let batch = self.batch(entries)?;
            let needed = self.writer.offer(batch).await?;
            let mut needed: Vec<_> = needed.into_iter().collect();
            needed.sort_unstable();
            Ok(needed)
        };
        calls::traced("offer", given, offering)
    }

    fn put_small(&mut self, files: Vec<model::Small>) -> CallFuture<'_, ()> {
        let given = files.amount();
        let files = files.into_iter().map(convert::small).collect();
        calls::traced("put-small", given, self.writer.put_small(files))
    }

    fn put(&self, id: u64, given: Given) -> CallFuture<'_, ()> {
        let bytes = format!("entry {id}, {} bytes", given.sent);
        let putting = give(given, move |content| self.writer.put(id, content));
        calls::traced("put", bytes, putting)
    }

    fn commit(
        self: Box<Self>,
        completeness: model::Completeness,
    ) -> CallFuture<'static, model::Receipt> {
        let given = completeness.amount();
        let completeness = convert::completeness(completeness);
        let committing = self.writer.commit(completeness);
        let committed = committing.map(|receipt| receipt.map(convert::receipt));
        calls::traced("commit", given, committed)
    }

    fn give_up(self: Box<Self>) -> LocalBoxFuture<'static, Duration> {
        timed(self.writer.give_up())
    }
}

/// How long something takes, up to the time that the contract gives it.
pub(super) fn timed(work: impl Future<Output = ()> + 'static) -> LocalBoxFuture<'static, Duration> {
    let timed = async move {
        let start = Instant::now();
        // That it took too long shows.
        let _ = timeout(GRACE, work).await;
        start.elapsed()
    };
    timed.boxed_local()
}

/// Has somebody take contents as they are given.
pub(super) async fn give<F: Future<Output = Result<()>>>(
    given: Given,
    put: impl FnOnce(Content) -> F,
) -> Result<()> {
    let (pipe, mut outputs) = pipe::pipe(1);
    let bytes = outputs.remove(0);
    let (tell, told) = oneshot::channel();
    let verdict = async move {
        let given_up = || Error::new(Kind::Cancelled, "the contents were given up");
        told.await.unwrap_or_else(|_| Err(given_up()))
    };
    let verdict = verdict.boxed().shared();
    let feeding = async move {
        feed(&pipe, given.body, given.sent).await;
        let ending: Result<Ending> = match given.then {
            Then::Ends(ending) => Ok(convert::ending(ending)),
            Then::Fails => Err(Error::new(Kind::Other, "the source failed")),
            Then::Unsaid => return,
            Then::Stalls => std::future::pending().await,
        };
        drop(pipe);
        // The plugin may have failed meanwhile.
        let _ = tell.send(ending);
    };
    let putting = put(Content { bytes, verdict });
    tokio::pin!(putting);
    tokio::select! {
        biased;
        put = &mut putting => put,
        () = feeding => putting.await,
    }
}

/// Gives so many bytes, as long as somebody takes them.
async fn feed(pipe: &PipeWriter, body: Body, sent: u64) {
    let mut offset = 0;
    while offset < sent && pipe.room().await.is_ok() {
        let left = usize::try_from(sent - offset).unwrap_or(usize::MAX);
        let piece = body.bytes(offset, PIECE.min(left));
        offset += piece.len() as u64;
        pipe.send(&Bytes::from(piece));
    }
}
