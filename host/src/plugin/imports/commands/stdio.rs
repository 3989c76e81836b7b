//! A program's standard input and output as the contract's streams.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::io::AsyncWrite as _;
use tokio::net::unix::pipe;
use tokio::process::ChildStdout;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::plugin::bindings::types;
use crate::plugin::state::Activity;

/// How much a pipe to or from a program holds, in bytes: a dump is read in few large pieces.
const PIPE: usize = 1 << 20;

/// How much of an output is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// What a program writes, and its verdict: `ok` when the output came to its end.
pub(super) fn output(
    pipe: ChildStdout,
) -> (
    impl Stream<Item = Bytes> + Send,
    impl Future<Output = wasmtime::Result<Result<(), types::Error>>> + Send,
) {
    // A smaller pipe works as well, only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
    let (tell, told) = oneshot::channel();
    let pieces = ReaderStream::with_capacity(pipe, PIECE);
    let bytes = stream::unfold((pieces, tell), async |(mut pieces, tell)| {
        let verdict = match pieces.next().await {
            Some(Ok(bytes)) => return Some((bytes, (pieces, tell))),
            Some(Err(cause)) => Err(types::Error::Other(format!(
                "its output cannot be read: {cause}"
            ))),
            None => Ok(()),
        };
        // Nobody need be listening.
        let _ = tell.send(verdict);
        None
    });
    let cut_off = |_| {
        Err(types::Error::Cancelled(
            "the output was not read to its end".into(),
        ))
    };
    (bytes, async move { Ok(told.await.unwrap_or_else(cut_off)) })
}

/// What a program is fed. Its standard input is closed when the stream ends.
pub(super) struct Input {
    pipe: pipe::Sender,
    activity: Activity,
}

impl Input {
    pub(super) fn new(pipe: pipe::Sender, activity: Activity) -> Self {
        // A smaller pipe works as well, only slower.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
        Self { pipe, activity }
    }
}

impl<D: 'static> StreamConsumer<D> for Input {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if bytes.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let written = match Pin::new(&mut self.pipe).poll_write(context, bytes) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            other => ready!(other),
        };
        self.activity.note();
        Poll::Ready(Ok(match written {
            Ok(count) => {
                source.mark_read(count);
                StreamResult::Completed
            }
            // The program reads no more; what that means, its exit status tells.
            Err(_) => StreamResult::Dropped,
        }))
    }
}
