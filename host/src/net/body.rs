//! Request and response bodies that report progress and time out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use super::error::Error;

/// Is called whenever data passes.
pub(crate) type OnProgress = Arc<dyn Fn() + Send + Sync>;

/// When data was last given to be sent. Clones share it.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    /// Now.
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// The body of a request.
pub(super) struct Outgoing<B: Body> {
    body: B,
    /// What was looked at before it is sent.
    first: Option<Result<Frame<B::Data>, B::Error>>,
    ended: bool,
    progress: Progress,
    on_progress: OnProgress,
}

impl<B: Body + Unpin> Outgoing<B> {
    pub(super) fn new(body: B, progress: Progress, on_progress: OnProgress) -> Self {
        Self {
            body,
            first: None,
            ended: false,
            progress,
            on_progress,
        }
    }

    /// Waits until it is known whether there is anything in it.
    pub(super) async fn peek(&mut self) {
        self.first = self.body.frame().await;
        self.ended = self.first.is_none();
    }
}

impl<B: Body<Data: Unpin, Error: Unpin> + Unpin> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(Pin::new(&mut self.body).poll_frame(cx)),
        };
        self.progress.note();
        (self.on_progress)();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            // Its bytes are no longer in what the body tells.
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

/// The body of an answer. It ends well only when all of it came: hyper tells an end that came
/// before the announced length, or before the last chunk.
pub(crate) struct Incoming {
    body: hyper::body::Incoming,
    /// How long the next data may take from when it is waited for.
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    on_progress: OnProgress,
    /// The request counts until its answer was read.
    _room: OwnedSemaphorePermit,
}

impl Incoming {
    pub(super) fn new(
        body: hyper::body::Incoming,
        limit: Duration,
        on_progress: OnProgress,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            body,
            limit,
            timer: Box::pin(sleep(limit)),
            waiting: false,
            on_progress,
            _room: room,
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            (self.on_progress)();
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::Body)));
        }
        if !self.waiting {
            self.waiting = true;
            let due = Instant::now() + self.limit;
            self.timer.as_mut().reset(due);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::BodyTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
