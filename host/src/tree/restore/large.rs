//! Writes a large file on a thread of its own, because copying contents takes as long as creating them.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tthost_seal::Digester;

use super::item::{Item, Partial};
use super::ledger::Ledger;

/// Pieces that wait to be written. More wait where they come from.
const WAITING: usize = 1;

/// A file that gets its contents. What is dropped before it is complete is gone from the disk by then.
pub(super) struct Writing {
    pieces: Option<Sender<Bytes>>,
    thread: Option<JoinHandle<io::Result<Written>>>,
}

/// A file that has its contents, and not its name yet.
pub(super) struct Written {
    pub(super) partial: Partial,
    /// Of the contents, where it was asked for.
    pub(super) digest: Option<[u8; 32]>,
}

impl Writing {
    /// Begins a file; with the digest of its contents, if it is to be verified.
    pub(super) fn begin(item: &Item, ledger: Arc<Ledger>, verify: bool) -> io::Result<Self> {
        let partial = item.begin()?;
        let (pieces, given) = channel(WAITING);
        let digester = verify.then(Digester::new);
        let thread = thread::Builder::new()
            .name("restore-large".into())
            .spawn(move || write_all(partial, digester, given, &ledger))?;
        Ok(Self {
            pieces: Some(pieces),
            thread: Some(thread),
        })
    }

    /// Adds bytes at the end, or forgets them where an earlier piece could not be written.
    pub(super) async fn write(&self, bytes: Bytes) {
        if let Some(pieces) = &self.pieces {
            // The thread has ended only after an error, which the end tells.
            let _ = pieces.send(bytes).await;
        }
    }

    /// Waits until everything is written.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.join().unwrap_or_else(|| Err(ended()))
    }

    fn join(&mut self) -> Option<io::Result<Written>> {
        self.pieces = None;
        let thread = self.thread.take()?;
        Some(thread.join().unwrap_or_else(|_| Err(ended())))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.join());
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that writes it failed")
}

fn write_all(
    mut partial: Partial,
    mut digester: Option<Digester>,
    mut pieces: Receiver<Bytes>,
    ledger: &Ledger,
) -> io::Result<Written> {
    while let Some(bytes) = pieces.blocking_recv() {
        partial.write(&bytes)?;
        ledger.count(|receipt| receipt.bytes_total += bytes.len() as u64);
        if let Some(digester) = &mut digester {
            digester.update(&bytes);
        }
    }
    let digest = digester.map(Digester::finish);
    Ok(Written { partial, digest })
}
