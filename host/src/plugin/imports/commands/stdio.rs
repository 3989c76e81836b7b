//! A program's standard input and output as the contract's streams.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};

use crate::plugin::bindings::types;
use crate::plugin::state::Activity;

/// How much a pipe to or from a program holds, in bytes: a dump is read in few large pieces.
const PIPE: usize = 1 << 20;

/// What a program writes, on its way to the plugin or past it.
pub(super) struct Output {
    pipe: ChildStdout,
    activity: Activity,
    verdict: Option<oneshot::Sender<Result<(), types::Error>>>,
}

impl Output {
    /// The stream, and its verdict: `ok` when the output came to its end.
    pub(super) fn new(
        pipe: ChildStdout,
        activity: Activity,
    ) -> (
        Self,
        impl Future<Output = wasmtime::Result<Result<(), types::Error>>> + Send,
    ) {
        // A smaller pipe works as well, only slower.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
        let (verdict, told) = oneshot::channel();
        let told = async {
            let cut_off = |_| {
                Err(types::Error::Cancelled(
                    "the output was not read to its end".into(),
                ))
            };
            Ok(told.await.unwrap_or_else(cut_off))
        };
        (
            Self {
                pipe,
                activity,
                verdict: Some(verdict),
            },
            told,
        )
    }

    fn conclude(&mut self, verdict: Result<(), types::Error>) -> StreamResult {
        if let Some(tell) = self.verdict.take() {
            // Nobody need be listening.
            let _ = tell.send(verdict);
        }
        StreamResult::Dropped
    }
}

impl<D> StreamProducer<D> for Output {
    type Item = u8;
    type Buffer = bytes::BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut destination = destination.as_direct(store, PIPE);
        let room = destination.remaining();
        if room.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut buffer = ReadBuf::new(room);
        let read = match Pin::new(&mut self.pipe).poll_read(context, &mut buffer) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read,
        };
        self.activity.note();
        Poll::Ready(Ok(match (read, buffer.filled().len()) {
            (Ok(()), 0) => self.conclude(Ok(())),
            (Ok(()), count) => {
                destination.mark_written(count);
                StreamResult::Completed
            }
            (Err(cause), _) => self.conclude(Err(types::Error::Other(format!(
                "its output cannot be read: {cause}"
            )))),
        }))
    }
}

/// What a program is fed. Its standard input is closed when the stream ends.
pub(super) struct Input {
    pipe: ChildStdin,
    activity: Activity,
}

impl Input {
    pub(super) fn new(pipe: ChildStdin, activity: Activity) -> Self {
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
