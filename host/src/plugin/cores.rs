//! Threads that compute for plugins, one per core.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, Kind, Result};

type Work = Box<dyn FnOnce() + Send>;

/// How long the work of a plugin may wait of which none is being done: that of others takes long then.
const PATIENCE: Duration = Duration::from_millis(100);

/// As many threads as there are cores, shared by all plugins. Each plugin has a queue of its own, and the threads take
/// from the queues in turn: one that asks for a lot waits for itself, and hardly keeps others waiting. One that asks for something
/// that takes long keeps a thread, and those who wait get others. Work is
/// done whether or not the plugin that asked for it has time to look. They end when nobody has them any more.
pub(crate) struct Cores(Arc<Ring>);

/// Sees to it that nobody waits for long.
pub(super) struct Relief(Weak<Ring>);

/// One plugin's part of the cores. Clones are of the same part.
#[derive(Clone)]
pub(crate) struct CoreShare {
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

/// Locked only while the ring is locked.
#[derive(Default)]
struct Queue(Mutex<Works>);

/// What one plugin asked for.
#[derive(Default)]
struct Works {
    /// What has not begun, and since when it waits.
    waiting: VecDeque<(Instant, Work)>,
    /// How much is being done.
    at_work: usize,
}

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

    /// What is to be asked often.
    pub(super) fn relief(&self) -> Relief {
        Relief(Arc::downgrade(&self.0))
    }

    /// The part of one more plugin.
    pub(super) fn share(&self) -> CoreShare {
        CoreShare {
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

impl Relief {
    /// Starts a thread for each plugin that has waited for too long. It ends when that plugin has nothing left to do.
    pub(super) fn look(&self) {
        let Some(ring) = self.0.upgrade() else {
            return;
        };
        for queue in ring.neglected(Instant::now()) {
            let ring = ring.clone();
            // Without another thread, they wait on.
            let _ = std::thread::Builder::new()
                .name("core-more".into())
                .spawn(move || {
                    while let Some(work) = ring.next_of(&queue) {
                        ring.carry_out(&queue, work);
                    }
                });
        }
    }
}

impl CoreShare {
    /// Does the work and waits for its result. The error is that of work that panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> wasmtime::Result<R> {
        Ok(self.start(work).await?)
    }

    /// Does the work, unless its result is not wanted any more by then.
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
        if works.waiting.is_empty() {
            state.waiting.push_back(queue.clone());
        }
        works.waiting.push_back((Instant::now(), work));
        drop(works);
        drop(state);
        self.changed.notify_one();
    }

    /// Does work until it is over.
    fn serve(&self) {
        while let Some((queue, work)) = self.next() {
            self.carry_out(&queue, work);
        }
    }

    fn carry_out(&self, queue: &Queue, work: Work) {
        // Whoever waits for work that panicked is told so.
        let _ = catch_unwind(AssertUnwindSafe(work));
        let _state = self.lock();
        queue.lock().at_work -= 1;
    }

    fn next(&self) -> Option<(Arc<Queue>, Work)> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(queue) = state.waiting.pop_front() {
                let work = queue.take();
                if !queue.lock().waiting.is_empty() {
                    state.waiting.push_back(queue.clone());
                }
                if let Some(work) = work {
                    return Some((queue, work));
                }
                continue;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next work of this plugin; none when there is nothing left of it to be done.
    fn next_of(&self, queue: &Arc<Queue>) -> Option<Work> {
        let mut state = self.lock();
        let work = queue.take();
        if queue.lock().waiting.is_empty() {
            state.waiting.retain(|waiting| !Arc::ptr_eq(waiting, queue));
        }
        work
    }

    /// The queues that somebody has to care for.
    fn neglected(&self, now: Instant) -> Vec<Arc<Queue>> {
        let state = self.lock();
        let waiting = state.waiting.iter();
        let waiting = waiting.filter(|queue| queue.lock().is_neglected(now));
        waiting.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// What comes next, which is being done from now on.
    fn take(&self) -> Option<Work> {
        let mut works = self.lock();
        let (_, work) = works.waiting.pop_front()?;
        works.at_work += 1;
        Some(work)
    }

    fn lock(&self) -> MutexGuard<'_, Works> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Works {
    fn is_neglected(&self, now: Instant) -> bool {
        let waits = |(since, _): &(Instant, Work)| now.duration_since(*since) >= PATIENCE;
        self.at_work == 0 && self.waiting.front().is_some_and(waits)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_plugin_that_asks_for_a_lot_waits_for_itself() {
        let cores = Cores::with_threads(1).expect("it starts");
        let (greedy, modest) = (cores.share(), cores.share());
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
    async fn work_that_takes_long_keeps_nobody_else_waiting_for_long() {
        let cores = Cores::with_threads(1).expect("it starts");
        let (slow, quick) = (cores.share(), cores.share());
        let (open, gate) = mpsc::channel::<()>();
        let long = slow.start(move || gate.recv().is_ok());
        // It gets no second thread for its own.
        let next = slow.start(|| 1);
        let relief = cores.relief();
        for number in 0..2 {
            let mut waiting = quick.start(move || number);
            let start = Instant::now();
            let done = loop {
                relief.look();
                if let Ok(done) = timeout(PATIENCE / 10, &mut waiting).await {
                    break done;
                }
                assert!(start.elapsed() < PATIENCE * 50, "it waits");
            };
            assert_eq!(done, Ok(number));
        }
        assert!(long.is_empty() && next.is_empty());
        drop(open);
        assert_eq!((long.await, next.await), (Ok(false), Ok(1)));
    }

    #[tokio::test]
    async fn work_that_panics_ends_no_thread() {
        let cores = Cores::with_threads(1).expect("it starts");
        let cores = (cores.share(), cores);
        cores
            .0
            .run(|| panic!("as the test wants"))
            .await
            .expect_err("it panicked");
        assert_eq!(cores.0.run(|| 7).await.expect("it goes on"), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_computed() {
        let cores = Cores::with_threads(1).expect("it starts");
        let cores = cores.share();
        let (open, gate) = mpsc::channel::<()>();
        let first = cores.start(move || gate.recv().is_ok());
        let (tell, told) = mpsc::channel();
        drop(cores.start(move || tell.send(()).is_ok()));
        drop(open);
        first.await.expect("it is done");
        cores.run(|| ()).await.expect("it goes on");
        assert!(told.recv().is_err(), "it was computed");
    }
}
