//! The body of an answer on its way to the client: whole, slow, or broken off.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a body that breaks off waits with that, so that what came before it is sent.
const LAST_BREATH: Duration = Duration::from_millis(50);

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// What is still to be sent.
    rest: Bytes,
    /// How many bytes are announced and not sent yet.
    announced: u64,
    delivery: Delivery,
}

#[derive(Debug)]
enum Delivery {
    Whole,
    /// Byte by byte.
    Trickling {
        every: Duration,
        next: Pin<Box<Sleep>>,
    },
    /// The connection is closed where the rest ends, at this time once that is known.
    Broken(Option<Pin<Box<Sleep>>>),
}

impl Answer {
    pub(super) fn whole(body: Bytes) -> Self {
        Self {
            announced: body.len() as u64,
            rest: body,
            delivery: Delivery::Whole,
        }
    }

    /// At so many bytes a second.
    pub(super) fn trickling(body: Bytes, rate: u32) -> Self {
        let every = Duration::from_secs(1) / rate;
        Self {
            delivery: Delivery::Trickling {
                every,
                next: Box::pin(sleep(every)),
            },
            ..Self::whole(body)
        }
    }

    /// Announced whole, and broken off after so many bytes, or one byte before its end.
    pub(super) fn broken(body: &Bytes, bytes: usize) -> Self {
        let bytes = bytes.min(body.len().saturating_sub(1));
        Self {
            announced: body.len() as u64,
            rest: body.slice(..bytes),
            delivery: Delivery::Broken(None),
        }
    }

    fn take(&mut self, bytes: usize) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.split_to(bytes);
        self.announced -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let all = self.rest.len();
        match &mut self.delivery {
            Delivery::Whole => self.take(all),
            Delivery::Trickling { every, next } => {
                ready!(next.as_mut().poll(context));
                let again = Instant::now() + *every;
                next.as_mut().reset(again);
                self.take(1.min(all))
            }
            Delivery::Broken(_) if all > 0 => self.take(all),
            Delivery::Broken(end) => {
                let end = end.get_or_insert_with(|| Box::pin(sleep(LAST_BREATH)));
                ready!(end.as_mut().poll(context));
                Poll::Ready(Some(Err(io::Error::other("the answer breaks off"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.announced == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
