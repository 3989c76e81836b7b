//! Threads that create small files. The kernel creates the files of one directory one at a time, and those of several
//! directories in parallel. So each directory belongs to one thread.

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
use crate::tree::metadata::{Object, apply};

/// More threads were no faster.
const MAX_THREADS: usize = 4;

/// Bytes of contents that wait to be written, at most, unless one call alone brings more.
const MAX_WAITING: usize = 8 << 20;

/// A task for a thread.
pub(super) enum Task {
    /// Makes files with these contents, all in one directory.
    Files(Vec<(Item, Bytes)>, Reservation),
    /// Gives a directory its metadata when all is in it that belongs there, and these names do.
    Finish(Box<FinishedDirectory>),
    /// Says that all that came before is done.
    Tell(Sender<()>),
}

/// A part of what may wait, until it is dropped.
pub(super) struct Reservation {
    shared: Arc<Shared>,
    bytes: usize,
}

/// A directory of which all came.
pub(super) struct FinishedDirectory {
    pub(super) place: Arc<TargetDir>,
    pub(super) item: Item,
    pub(super) names: HashSet<OsString>,
}

/// The threads, which start when there is something to do for them.
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: OnceLock<Vec<Worker>>,
}

struct Worker {
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

impl Workers {
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
        let room = Reservation::wait(&self.shared, bytes);
        let threads = self.threads.get_or_init(|| start(&self.shared));
        give(threads, number, Task::Files(files, room))?;
        if bytes > MAX_WAITING {
            self.wait()?;
        }
        Ok(())
    }

    /// Applies the metadata of a directory after this thread has made all files in it.
    pub(super) fn finish_directory(
        &self,
        number: usize,
        directory: Box<FinishedDirectory>,
    ) -> Result<()> {
        match self.threads.get() {
            Some(threads) => give(threads, number, Task::Finish(directory)),
            None => self.shared.finish_directory(&directory),
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
        for Worker { tasks, thread } in threads {
            drop(tasks);
            thread.join().map_err(|_| ended())?;
        }
        self.shared.ledger.check()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // What was not finished is not wanted any more.
        self.shared.ledger.give_up();
        // A thread that panicked has said so.
        let _ = self.finish();
    }
}

/// Starts the threads; fewer where the system refuses them.
fn start(shared: &Arc<Shared>) -> Vec<Worker> {
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let start = |number| {
        let (tasks, given) = channel();
        let shared = shared.clone();
        let span = Span::current();
        let thread = thread::Builder::new()
            .name(format!("restore-{number}"))
            .spawn(move || span.in_scope(|| shared.serve(&given)))?;
        Ok::<_, io::Error>(Worker { tasks, thread })
    };
    (0..count.min(MAX_THREADS))
        .map_while(|number| start(number).ok())
        .collect()
}

fn give(threads: &[Worker], number: usize, task: Task) -> Result<()> {
    let worker = number
        .checked_rem(threads.len())
        .and_then(|number| threads.get(number))
        .ok_or_else(|| Error::new(Kind::Other, "cannot start a thread"))?;
    worker.tasks.send(task).map_err(|_| ended())
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
                Task::Finish(directory) => self.end_on(self.finish_directory(&directory)),
                Task::Tell(done) => {
                    // A caller waits for it.
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
            match item.write_file(contents) {
                Ok(made) => self.ledger.note(&made),
                Err(cause) => {
                    self.ledger.omit(item, &cause)?;
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

    fn finish_directory(
        &self,
        FinishedDirectory { place, item, names }: &FinishedDirectory,
    ) -> Result<()> {
        if self.ledger.is_over() {
            return Ok(());
        }
        let removed = if self.options.delete {
            remove_extra(&self.ledger, place, names)
        } else {
            Ok(())
        };
        let applied = removed.and_then(|()| {
            let object = Object::Open(place.as_fd());
            apply(object, &item.kind, &item.metadata, true)
        });
        match applied {
            Ok(shortfall) => {
                self.ledger.record_shortfall(shortfall);
                Ok(())
            }
            Err(cause) => self.ledger.omit(item, &cause),
        }
    }
}

impl Reservation {
    fn wait(shared: &Arc<Shared>, bytes: usize) -> Self {
        let waiting = shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let has_no_room = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > MAX_WAITING;
        let waiting = shared.fewer.wait_while(waiting, has_no_room);
        *waiting.unwrap_or_else(PoisonError::into_inner) += bytes;
        Self {
            shared: shared.clone(),
            bytes,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let waiting = self.shared.waiting.lock();
        *waiting.unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.shared.fewer.notify_all();
    }
}

/// Removes from a directory of which all came what the tree does not have.
pub(super) fn remove_extra(
    ledger: &Ledger,
    place: &TargetDir,
    names: &HashSet<OsString>,
) -> io::Result<()> {
    let mut removed = Ok(());
    for name in place.surplus(names)? {
        match place.remove(&name) {
            Ok(removed) => ledger.count(|receipt| receipt.removed += removed),
            Err(cause) => {
                let text = format!("{} cannot be removed: {cause}", name.display());
                removed = removed.and(Err(io::Error::new(cause.kind(), text)));
            }
        }
    }
    removed
}
