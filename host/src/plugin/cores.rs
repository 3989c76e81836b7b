//! The machine's cores, for what plugins let the host compute.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, Kind, Result};

type Work = Box<dyn FnOnce() + Send>;

/// As many threads as there are cores, shared by all plugins. Each plugin has a queue of its own, and the threads take
/// from the queues in turn: one that asks for a lot waits for itself, and hardly keeps others waiting. Work is
/// done whether or not the plugin that asked for it has time to look. They end when nobody has them any more.
pub(crate) struct Cores(Arc<Ring>);

/// One plugin's part of the cores. Clones are of the same part.
#[derive(Clone)]
pub(crate) struct Turns {
    ring: Arc<Ring>,
    queue: Arc<Queue>,
}

/// The queues that hold work, the next in turn first.
#[derive(Default)]
struct Ring {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Queue>>,
    is_over: bool,
}

/// Locked only by who has locked the ring.
#[derive(Default)]
struct Queue(Mutex<VecDeque<Work>>);

impl Cores {
    pub(super) fn new() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads(cores)
    }

    fn with_threads(count: usize) -> Result<Self> {
        let ring = Arc::new(Ring::default());
        for number in 0..count {
            let ring = ring.clone();
            std::thread::Builder::new()
                .name(format!("core-{number}"))
                .spawn(move || ring.serve())
                .map_err(|cause| {
                    Error::new(Kind::Other, "cannot start a thread").caused_by(cause)
                })?;
        }
        Ok(Self(ring))
    }

    /// The part of one more plugin.
    pub(super) fn turns(&self) -> Turns {
        Turns {
            ring: self.0.clone(),
            queue: Arc::default(),
        }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl Turns {
    /// Does the work and waits for its result. The error is that of work that panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> wasmtime::Result<R> {
        Ok(self.start(work).await?)
    }

    /// Does the work, unless nobody waits for its result any more when its turn comes.
    pub(crate) fn start<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> oneshot::Receiver<R> {
        let (reply, result) = oneshot::channel();
        self.ring.add(
            &self.queue,
            Box::new(move || {
                if !reply.is_closed() {
                    // The plugin may have ended meanwhile.
                    let _ = reply.send(work());
                }
            }),
        );
        result
    }
}

impl Ring {
    fn add(&self, queue: &Arc<Queue>, work: Work) {
        let mut state = self.lock();
        let mut works = queue.lock();
        if works.is_empty() {
            state.waiting.push_back(queue.clone());
        }
        works.push_back(work);
        drop(works);
        drop(state);
        self.changed.notify_one();
    }

    /// Does work until it is over.
    fn serve(&self) {
        while let Some(work) = self.next() {
            // Whoever waits for work that panicked is told so.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(queue) = state.waiting.pop_front() {
                let mut works = queue.lock();
                let work = works.pop_front();
                if !works.is_empty() {
                    state.waiting.push_back(queue.clone());
                }
                if work.is_some() {
                    return work;
                }
                continue;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_plugin_that_asks_for_a_lot_waits_for_itself() {
        let cores = Cores::with_threads(1).expect("it starts");
        let (greedy, modest) = (cores.turns(), cores.turns());
        let (tell, order) = mpsc::channel();
        // The one thread waits here until everybody has asked.
        let (open, gate) = mpsc::channel::<()>();
        let mut results = vec![greedy.start(move || gate.recv().is_ok())];
        for number in 0..100 {
            let tell = tell.clone();
            results.push(greedy.start(move || tell.send(("greedy", number)).is_ok()));
        }
        for number in 0..2 {
            let tell = tell.clone();
            results.push(modest.start(move || tell.send(("modest", number)).is_ok()));
        }
        drop(open);
        for result in results {
            result.await.expect("it is done");
        }
        let first: Vec<_> = order.try_iter().take(4).collect();
        let modest = first.iter().filter(|(who, _)| *who == "modest");
        assert_eq!(modest.count(), 2, "{first:?}");
    }

    #[tokio::test]
    async fn work_that_panics_ends_no_thread() {
        let turns = Cores::with_threads(1).expect("it starts");
        let turns = (turns.turns(), turns);
        turns
            .0
            .run(|| panic!("as the test wants"))
            .await
            .expect_err("it panicked");
        assert_eq!(turns.0.run(|| 7).await.expect("it goes on"), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_computed() {
        let cores = Cores::with_threads(1).expect("it starts");
        let turns = cores.turns();
        let (open, gate) = mpsc::channel::<()>();
        let first = turns.start(move || gate.recv().is_ok());
        let (tell, told) = mpsc::channel();
        drop(turns.start(move || tell.send(()).is_ok()));
        drop(open);
        first.await.expect("it is done");
        turns.run(|| ()).await.expect("it goes on");
        assert!(told.recv().is_err(), "it was computed");
    }
}
