//! Carries the bytes of a file from one reader to many writers.
//!
//! | module | holds |
//! |---|---|
//! | the pipe: bounded, as fast as the slowest remaining reader |
//! | a file's bytes with their verdict |
//! | `meter` | counts bytes against a limit |

mod content;
mod meter;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

pub(crate) use content::{Content, Verdict};
pub(crate) use meter::Meter;

/// Bytes that may wait for each reader. The writer is woken when the fullest is half empty.
pub(crate) const CAPACITY: usize = 4 << 20;

/// A pipe with one writer and this many readers.
pub(crate) fn pipe(readers: usize) -> (PipeWriter, Vec<PipeReader>) {
    let shared = Arc::new(Mutex::new(Shared {
        queues: (0..readers).map(|_| Queue::default()).collect(),
        writer: None,
        closed: false,
    }));
    let readers = (0..readers)
        .map(|index| PipeReader {
            shared: shared.clone(),
            index,
            counter: None,
        })
        .collect();
    (PipeWriter { shared }, readers)
}

/// A pipe with one writer and one reader.
pub(crate) fn single() -> (PipeWriter, PipeReader) {
    let (writer, mut readers) = pipe(1);
    let reader = readers.pop().expect("there is one");
    (writer, reader)
}

/// The end that is written to. Dropping it closes the pipe.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    shared: Arc<Mutex<Shared>>,
}

/// An end that is read from. Dropping it releases the writer from waiting for it.
#[derive(Debug)]
pub(crate) struct PipeReader {
    shared: Arc<Mutex<Shared>>,
    index: usize,
    /// The counter of the bytes that were read.
    counter: Option<Arc<AtomicU64>>,
}

/// Closes the pipe when it is dropped, whatever its ends do: nothing more goes in, and what waits
/// for the readers is gone.
#[derive(Debug)]
pub(crate) struct PipeGuard {
    shared: Arc<Mutex<Shared>>,
}

/// The bytes that wait for a reader, for an observer.
#[derive(Debug)]
pub(crate) struct Backlog {
    shared: Arc<Mutex<Shared>>,
    index: usize,
}

/// Whether the writer can continue, for an observer.
#[derive(Debug)]
pub(crate) struct Flow {
    shared: Arc<Mutex<Shared>>,
}

/// The pipe has no reader any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Abandoned;

impl PipeWriter {
    /// Ready when every reader that is still there has room for more.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<(), Abandoned>> {
        let mut shared = lock(&self.shared);
        if shared.queues.iter().all(|queue| queue.gone) {
            return Poll::Ready(Err(Abandoned));
        }
        if shared.fullest() < CAPACITY {
            return Poll::Ready(Ok(()));
        }
        shared.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether the writer can continue, for an observer.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            shared: self.shared.clone(),
        }
    }

    /// Closes the pipe when it is dropped.
    pub(crate) fn guard(&self) -> PipeGuard {
        PipeGuard {
            shared: self.shared.clone(),
        }
    }

    /// Waits for room with every reader that is still there.
    pub(crate) async fn room(&self) -> Result<(), Abandoned> {
        std::future::poll_fn(|context| self.poll_room(context)).await
    }

    /// Gives bytes to every reader. Ask for room before.
    pub(crate) fn send(&self, bytes: &Bytes) {
        let mut shared = lock(&self.shared);
        let mut wake = Vec::new();
        for queue in shared.queues.iter_mut().filter(|queue| !queue.gone) {
            queue.length += bytes.len();
            queue.chunks.push_back(bytes.clone());
            wake.extend(queue.reader.take());
        }
        drop(shared);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.closed = true;
        let wake = shared.wake_readers();
        drop(shared);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl Drop for PipeGuard {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.closed = true;
        let mut wake = shared.wake_readers();
        wake.extend(shared.writer.take());
        for queue in &mut shared.queues {
            *queue = Queue {
                gone: true,
                ..Queue::default()
            };
        }
        drop(shared);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl PipeReader {
    /// The next bytes, at most `most` of them; none when the pipe is closed and drained.
    /// An end of the bytes does not mean success.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>, most: usize) -> Poll<Option<Bytes>> {
        let mut shared = lock(&self.shared);
        let closed = shared.closed;
        let queue = &mut shared.queues[self.index];
        let Some(chunk) = queue.chunks.front_mut() else {
            if closed {
                return Poll::Ready(None);
            }
            queue.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        let bytes = if chunk.len() > most {
            chunk.split_to(most)
        } else {
            std::mem::take(chunk)
        };
        if chunk.is_empty() {
            queue.chunks.pop_front();
        }
        queue.length -= bytes.len();
        let wake = if shared.fullest() <= CAPACITY / 2 {
            shared.writer.take()
        } else {
            None
        };
        drop(shared);
        wake.into_iter().for_each(Waker::wake);
        if let Some(counter) = &self.counter {
            counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(Some(bytes))
    }

    /// Adds the bytes that are read to a count.
    pub(crate) fn count_in(&mut self, counter: Arc<AtomicU64>) {
        self.counter = Some(counter);
    }

    /// The bytes that wait for this reader, for an observer.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog {
            shared: self.shared.clone(),
            index: self.index,
        }
    }

    /// The next bytes, none at the end.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll_next(context, usize::MAX)).await
    }
}

impl Flow {
    /// Whether the writer waits for a reader.
    pub(crate) fn waits(&self) -> bool {
        lock(&self.shared).writer.is_some()
    }
}

impl Backlog {
    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.shared).queues[self.index].chunks.is_empty()
    }

    /// Whether the writer waits for this reader, while another one has nothing to read.
    pub(crate) fn holds_up(&self) -> bool {
        let shared = lock(&self.shared);
        let mut others = shared.queues.iter().enumerate();
        shared.writer.is_some()
            && shared.queues[self.index].length > CAPACITY / 2
            && others
                .any(|(index, queue)| index != self.index && !queue.gone && queue.chunks.is_empty())
    }

    /// Releases the writer from waiting for this reader, which gets no more bytes. Whoever has the reader
    /// must take its end for no success.
    pub(crate) fn abandon(&self) {
        release(&self.shared, self.index);
    }

    /// Whether the pipe is closed, so that no more bytes come.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.shared).closed
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        release(&self.shared, self.index);
    }
}

/// Releases the writer from waiting for a reader.
fn release(shared: &Mutex<Shared>, index: usize) {
    let mut shared = lock(shared);
    shared.queues[index] = Queue {
        gone: true,
        ..Queue::default()
    };
    let wake = shared.writer.take();
    drop(shared);
    wake.into_iter().for_each(Waker::wake);
}

#[derive(Debug)]
struct Shared {
    queues: Vec<Queue>,
    writer: Option<Waker>,
    closed: bool,
}

impl Shared {
    /// The readers that wait, to be woken when the lock is released.
    fn wake_readers(&mut self) -> Vec<Waker> {
        let queues = self.queues.iter_mut();
        queues.filter_map(|queue| queue.reader.take()).collect()
    }

    fn fullest(&self) -> usize {
        self.queues
            .iter()
            .map(|queue| queue.length)
            .max()
            .unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Bytes>,
    length: usize,
    reader: Option<Waker>,
    gone: bool,
}

/// A panic in another thread leaves the queues consistent: each change is a single step.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn every_reader_gets_every_byte() {
        let (writer, readers) = pipe(2);
        writer.send(&Bytes::from_static(b"hello"));
        drop(writer);
        for reader in readers {
            assert_eq!(
                reader.poll_next(&mut context(), 2),
                Poll::Ready(Some(Bytes::from_static(b"he")))
            );
            assert_eq!(
                reader.poll_next(&mut context(), 9),
                Poll::Ready(Some(Bytes::from_static(b"llo")))
            );
            assert_eq!(reader.poll_next(&mut context(), 9), Poll::Ready(None));
        }
    }

    #[test]
    fn the_slowest_reader_holds_the_writer_back_until_it_is_gone() {
        let (writer, mut readers) = pipe(2);
        let flow = writer.flow();
        writer.send(&Bytes::from(vec![0; CAPACITY]));
        assert!(readers[0].poll_next(&mut context(), usize::MAX).is_ready());
        assert!(!flow.waits());
        assert_eq!(writer.poll_room(&mut context()), Poll::Pending);
        assert!(flow.waits());
        readers.pop();
        assert!(!flow.waits());
        assert_eq!(writer.poll_room(&mut context()), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_guard_closes_both_ends() {
        let (writer, readers) = pipe(1);
        let guard = writer.guard();
        writer.send(&Bytes::from_static(b"hello"));
        drop(guard);
        assert_eq!(readers[0].poll_next(&mut context(), 9), Poll::Ready(None));
        assert_eq!(
            writer.poll_room(&mut context()),
            Poll::Ready(Err(Abandoned))
        );
    }

    #[test]
    fn without_readers_the_writer_is_told() {
        let (writer, readers) = pipe(2);
        drop(readers);
        assert_eq!(
            writer.poll_room(&mut context()),
            Poll::Ready(Err(Abandoned))
        );
    }
}
