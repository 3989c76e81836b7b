//! Streams that the host fills: the output of a program, or opened blobs. If a plugin only passes such a stream on,
//! its bytes never enter the plugin and are not copied.

use std::any::{Any, TypeId};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

use super::state::Activity;

/// Bytes on their way to a plugin or past it.
pub(crate) struct HostStream {
    bytes: BoxStream<'static, Bytes>,
    /// The bytes that did not fit in the plugin's buffer.
    rest: Bytes,
    activity: Activity,
}

impl HostStream {
    /// These bytes; each is a sign of life of the plugin that has them.
    pub(super) fn new(
        bytes: impl Stream<Item = Bytes> + Send + 'static,
        activity: Activity,
    ) -> Self {
        Self {
            bytes: bytes.boxed(),
            rest: Bytes::new(),
            activity,
        }
    }

    /// The next bytes; none at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let next = self.bytes.next().await;
        self.activity.note();
        next
    }
}

impl<D> StreamProducer<D> for HostStream {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        /// The number of bytes per read for a consumer in the host.
        const CHUNK: usize = 1 << 20;
        let mut destination = destination.as_direct(store, CHUNK);
        let room = destination.remaining();
        if room.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        while self.rest.is_empty() {
            match self.bytes.as_mut().poll_next(context) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                next => match ready!(next) {
                    Some(bytes) => self.rest = bytes,
                    None => return Poll::Ready(Ok(StreamResult::Dropped)),
                },
            }
        }
        self.activity.note();
        let given = room.len().min(self.rest.len());
        room[..given].copy_from_slice(&self.rest.split_to(given));
        destination.mark_written(given);
        Poll::Ready(Ok(StreamResult::Completed))
    }

    fn try_into(me: Pin<Box<Self>>, wanted: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        // Bytes that a plugin has begun to read belong to the plugin.
        if wanted == TypeId::of::<Self>() && me.rest.is_empty() {
            let own: Box<Self> = Pin::into_inner(me);
            Ok(own)
        } else {
            Err(me)
        }
    }
}
