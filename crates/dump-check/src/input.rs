//! Bytes that arrive in pieces, for a parser that is written as if it had all of them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Received bytes that were not read yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    place: usize,
    /// How many bytes have come before these.
    before: u64,
    ended: bool,
}

/// The input ended too early.
#[derive(Debug)]
pub(crate) struct Ended;

impl Input {
    /// Adds the next bytes.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let place = std::mem::take(&mut state.place);
        state.bytes.drain(..place);
        state.before += place as u64;
        state.bytes.extend_from_slice(bytes);
    }

    /// No more bytes come.
    pub(crate) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Discards the received bytes.
    pub(crate) fn clear(&self) {
        let mut state = self.0.borrow_mut();
        state.before += state.bytes.len() as u64;
        state.bytes.clear();
        state.place = 0;
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> u64 {
        let state = self.0.borrow();
        state.before + state.place as u64
    }

    /// The next bytes, which are few.
    pub(crate) async fn take<const N: usize>(&self) -> Result<[u8; N], Ended> {
        let taken = self.peek().await?;
        self.0.borrow_mut().place += N;
        Ok(taken)
    }

    /// The same, without reading them.
    pub(crate) async fn peek<const N: usize>(&self) -> Result<[u8; N], Ended> {
        poll_fn(|_| {
            let state = self.0.borrow();
            match state.bytes[state.place..].first_chunk::<N>() {
                Some(bytes) => Poll::Ready(Ok(*bytes)),
                None if state.ended => Poll::Ready(Err(Ended)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Passes this many bytes to a callback, in pieces. Returns its objection, if any.
    pub(crate) async fn show<E>(
        &self,
        mut count: u64,
        mut look: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Ended> {
        poll_fn(|_| {
            let mut state = self.0.borrow_mut();
            let here = &state.bytes[state.place..];
            let shown = usize::try_from(count).map_or(here.len(), |count| count.min(here.len()));
            if let Err(objection) = look(&here[..shown]) {
                return Poll::Ready(Ok(Err(objection)));
            }
            state.place += shown;
            count -= shown as u64;
            match count {
                0 => Poll::Ready(Ok(Ok(()))),
                _ if state.ended => Poll::Ready(Err(Ended)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Passes over this many bytes.
    pub(crate) async fn skip(&self, count: u64) -> Result<(), Ended> {
        let all_right = |_: &[u8]| Ok::<_, std::convert::Infallible>(());
        self.show(count, all_right).await.map(|_| ())
    }

    /// The next byte, or none at the end.
    pub(crate) async fn next(&self) -> Option<u8> {
        self.take::<1>().await.ok().map(|[byte]| byte)
    }
}
