//! Threads that make small files. The system makes one file after the other in a directory, and files in several
//! directories side by side: so each directory is one thread's.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tracing::Span;

use super::RestoreOptions;
use super::item::Item;
use super::ledger::Ledger;
use crate::error::{Error, Kind, Result};
use crate::tree::TargetDir;
use crate::tree::metadata::{Object, settle};

/// More threads were no faster.
const MOST_THREADS: usize = 4;

/// Bytes of contents that wait to be written, at most, unless one call alone brings more.
const MOST_WAITING: usize = 8 << 20;

/// What a thread does.
pub(super) enum Task {
    /// Makes files with these contents, all in one directory.
    Files(Vec<(Item, Bytes)>, Room),
    /// Gives a directory its metadata when all is in it that belongs there, and these names do.
    Settle(Box<Settling>),
    /// Says that all that came before is done.
    Tell(Sender<()>),
}

/// A part of what may wait, until it is dropped.
pub(super) struct Room {
    shared: Arc<Shared>,
    bytes: usize,
}

/// A directory of which all came.
pub(super) struct Settling {
    pub(super) place: Arc<TargetDir>,
    pub(super) item: Item,
    pub(super) names: HashSet<OsString>,
}

/// The threads, which start when there is something to do for them.
pub(super) struct Hands {
    shared: Arc<Shared>,
    threads: OnceLock<Vec<Hand>>,
}

struct Hand {
    tasks: Sender<Task>,
    thread: JoinHandle<()>,
}

struct Shared {
    ledger: Arc<Ledger>,
    options: RestoreOptions,
    /// Bytes of contents that wait to be written.
    waiting: Mutex<usize>,
    fewer: Condvar,
}

impl Hands {
    pub(super) fn new(ledger: Arc<Ledger>, options: RestoreOptions) -> Self {
        let shared = Shared {
            ledger,
            options,
            waiting: Mutex::new(0),
            fewer: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            threads: OnceLock::new(),
        }
    }

    /// Lets the thread of this number, or of what is left of it when it is divided by theirs, make files. Waits as long as
    /// too much waits already.
    pub(super) fn make(&self, number: usize, files: Vec<(Item, Bytes)>) -> Result<()> {
        let bytes = weight(&files);
        let room = Room::wait(&self.shared, bytes);
        let threads = self.threads.get_or_init(|| start(&self.shared));
        give(threads, number, Task::Files(files, room))?;
        if bytes > MOST_WAITING {
            self.wait()?;
        }
        Ok(())
    }

    /// Settles a directory after all files that this thread was to make.
    pub(super) fn settle(&self, number: usize, settling: Box<Settling>) -> Result<()> {
        match self.threads.get() {
            Some(threads) => give(threads, number, Task::Settle(settling)),
            None => self.shared.settle(&settling),
        }
    }

    /// Waits until everything is done.
    pub(super) fn wait(&self) -> Result<()> {
        let (tell, told) = channel();
        let threads = self.threads.get().map(Vec::as_slice).unwrap_or_default();
        for number in 0..threads.len() {
            give(threads, number, Task::Tell(tell.clone()))?;
        }
        drop(tell);
        // One that has ended is found out by what it is given next.
        let _ = told.iter().count();
        self.shared.ledger.check()
    }

    /// Waits until everything is done, and ends the threads.
    pub(super) fn finish(&mut self) -> Result<()> {
        let threads = self.threads.take().unwrap_or_default();
        for Hand { tasks, thread } in threads {
            drop(tasks);
            thread.join().map_err(|_| ended())?;
        }
        self.shared.ledger.check()
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // What was not finished is not wanted any more.
        self.shared.ledger.give_up();
        // A thread that panicked has said so.
        let _ = self.finish();
    }
}

/// Starts the threads; fewer where the system refuses them.
fn start(shared: &Arc<Shared>) -> Vec<Hand> {
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let start = |number| {
        let (tasks, given) = channel();
        let shared = shared.clone();
        let span = Span::current();
        let thread = thread::Builder::new()
            .name(format!("restore-{number}"))
            .spawn(move || span.in_scope(|| shared.serve(&given)))?;
        Ok::<_, io::Error>(Hand { tasks, thread })
    };
    (0..count.min(MOST_THREADS))
        .map_while(|number| start(number).ok())
        .collect()
}

fn give(threads: &[Hand], number: usize, task: Task) -> Result<()> {
    let hand = number
        .checked_rem(threads.len())
        .and_then(|number| threads.get(number))
        .ok_or_else(|| Error::new(Kind::Other, "cannot start a thread"))?;
    hand.tasks.send(task).map_err(|_| ended())
}

fn ended() -> Error {
    Error::new(Kind::Other, "a thread that makes files failed")
}

fn weight(files: &[(Item, Bytes)]) -> usize {
    files.iter().map(|(_, contents)| contents.len()).sum()
}

impl Shared {
    fn serve(&self, tasks: &Receiver<Task>) {
        for task in tasks {
            match task {
                Task::Files(files, _room) => self.end_on(self.make(&files)),
                Task::Settle(settling) => self.end_on(self.settle(&settling)),
                Task::Tell(done) => {
                    // Somebody waits for it.
                    let _ = done.send(());
                }
            }
        }
    }

    fn end_on(&self, done: Result<()>) {
        if let Err(error) = done {
            self.ledger.end(error);
        }
    }

    fn make(&self, files: &[(Item, Bytes)]) -> Result<()> {
        for (item, contents) in files {
            if self.ledger.is_over() {
                return Ok(());
            }
            match item.whole(contents) {
                Ok(made) => self.ledger.note(&made),
                Err(cause) => {
                    self.ledger.leave_out(item, &cause)?;
                    continue;
                }
            }
            self.ledger
                .count(|receipt| receipt.bytes_total += contents.len() as u64);
            if self.options.verify {
                self.ledger.prove(&item.at, tthost_seal::digest(contents));
            }
        }
        Ok(())
    }

    fn settle(&self, Settling { place, item, names }: &Settling) -> Result<()> {
        if self.ledger.is_over() {
            return Ok(());
        }
        let tidied = if self.options.delete {
            tidy(&self.ledger, place, names)
        } else {
            Ok(())
        };
        let settled = tidied.and_then(|()| {
            let object = Object::Open(place.as_fd());
            settle(object, &item.kind, &item.metadata, true)
        });
        match settled {
            Ok(shortfall) => {
                self.ledger.tell(shortfall);
                Ok(())
            }
            Err(cause) => self.ledger.leave_out(item, &cause),
        }
    }
}

impl Room {
    fn wait(shared: &Arc<Shared>, bytes: usize) -> Self {
        let waiting = shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let has_no_room = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > MOST_WAITING;
        let waiting = shared.fewer.wait_while(waiting, has_no_room);
        *waiting.unwrap_or_else(PoisonError::into_inner) += bytes;
        Self {
            shared: shared.clone(),
            bytes,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let waiting = self.shared.waiting.lock();
        *waiting.unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.shared.fewer.notify_all();
    }
}

/// Removes from a directory of which all came what the tree does not have.
pub(super) fn tidy(
    ledger: &Ledger,
    place: &TargetDir,
    names: &HashSet<OsString>,
) -> io::Result<()> {
    let mut tidied = Ok(());
    for name in place.surplus(names)? {
        match place.remove(&name) {
            Ok(removed) => ledger.count(|receipt| receipt.removed += removed),
            Err(cause) => {
                let text = format!("{} cannot be removed: {cause}", name.display());
                tidied = tidied.and(Err(io::Error::new(cause.kind(), text)));
            }
        }
    }
    tidied
}
