//! Bytes that come in pieces, for a parser that is written as if all of them were there.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// What has come and was not read yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    place: usize,
    ended: bool,
}

/// The bytes end before what was to be read.
#[derive(Debug)]
pub(crate) struct Ended;

impl Input {
    /// Adds the next bytes.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let place = std::mem::take(&mut state.place);
        state.bytes.drain(..place);
        state.bytes.extend_from_slice(bytes);
    }

    /// No more bytes come.
    pub(crate) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Forgets what has come.
    pub(crate) fn clear(&self) {
        let mut state = self.0.borrow_mut();
        state.bytes.clear();
        state.place = 0;
    }

    /// The next bytes, which are few.
    pub(crate) async fn take<const N: usize>(&self) -> Result<[u8; N], Ended> {
        poll_fn(|_| {
            let mut state = self.0.borrow_mut();
            let taken = state.bytes[state.place..].first_chunk::<N>().copied();
            match taken {
                Some(taken) => {
                    state.place += N;
                    Poll::Ready(Ok(taken))
                }
                None if state.ended => Poll::Ready(Err(Ended)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Passes over this many bytes.
    pub(crate) async fn skip(&self, mut count: u64) -> Result<(), Ended> {
        poll_fn(|_| {
            let mut state = self.0.borrow_mut();
            let here = state.bytes.len() - state.place;
            let skipped = usize::try_from(count).map_or(here, |count| count.min(here));
            state.place += skipped;
            count -= skipped as u64;
            match count {
                0 => Poll::Ready(Ok(())),
                _ if state.ended => Poll::Ready(Err(Ended)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// The next byte, or none at the end.
    pub(crate) async fn next(&self) -> Option<u8> {
        self.take::<1>().await.ok().map(|[byte]| byte)
    }
}
