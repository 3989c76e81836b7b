//! The second pass over an archive: contents, in the order of the archive.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio_tar::{Archive, Entry};
use tokio_util::io::StreamReader;

use super::entry::{modified, parse};
use super::fingerprint::Fingerprint;
use super::index::{Index, PIECE};
use crate::tree::{FileReader, Stamp};

/// The largest number of pieces that wait for a reader.
const READ_AHEAD: usize = 4;

/// A file that is wanted.
pub(super) struct Request {
    /// Its number in the index.
    pub(super) number: usize,
    /// No more bytes than this.
    pub(super) length: u64,
    pieces: mpsc::Sender<io::Result<Piece>>,
}

enum Piece {
    Bytes(Bytes),
    /// There are no more.
    End(Stamp),
}

/// The contents of a file on their way out of an archive.
pub(super) struct Passing {
    pieces: mpsc::Receiver<io::Result<Piece>>,
    rest: Bytes,
    stamp: Option<Stamp>,
}

/// A pass that is under way.
#[derive(Debug)]
pub(super) struct Pass {
    requests: mpsc::Sender<Request>,
    /// Everything before this number has gone by.
    at: usize,
}

/// Asks for a file, and gets its contents.
pub(super) fn request(number: usize, length: u64) -> (Request, Passing) {
    let (pieces, taken) = mpsc::channel(READ_AHEAD);
    let request = Request {
        number,
        length,
        pieces,
    };
    let passing = Passing {
        pieces: taken,
        rest: Bytes::new(),
        stamp: None,
    };
    (request, passing)
}

impl Pass {
    /// The handle of one, and the pass, which goes on through an archive as it is asked.
    pub(super) fn new(
        archive: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
        index: Arc<Index>,
    ) -> (Self, impl Future<Output = ()>) {
        let (requests, asked) = mpsc::channel(1);
        let handle = Self { requests, at: 0 };
        (handle, follow(archive, index, asked))
    }

    /// Whether a file is yet to come.
    pub(super) fn is_before(&self, number: usize) -> bool {
        self.at <= number
    }

    /// Goes on to a file. The request comes back when the pass has broken off.
    pub(super) fn ask(&mut self, request: Request) -> Result<(), Request> {
        self.at = request.number + 1;
        let sent = self.requests.blocking_send(request);
        sent.map_err(|mpsc::error::SendError(request)| request)
    }
}

/// Hands out the one file of an archive that is its own.
pub(super) async fn serve(
    archive: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
    index: Arc<Index>,
    request: Request,
) {
    let mut archive = Archive::new(StreamReader::new(archive));
    let handed = async {
        match archive.entries()?.next().await {
            Some(entry) => request.serve(&mut entry?, &index).await,
            None => request.failure().await,
        }
    };
    if let Err(cause) = handed.await {
        request.fail(cause).await;
    }
}

async fn follow(
    archive: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
    index: Arc<Index>,
    mut requests: mpsc::Receiver<Request>,
) {
    let mut archive = Archive::new(StreamReader::new(archive));
    let mut entries = match archive.entries() {
        Ok(entries) => entries,
        Err(cause) => {
            if let Some(request) = requests.recv().await {
                request.fail(cause).await;
            }
            return;
        }
    };
    // An entry that comes after the last one that was asked for, and its number.
    let mut ahead: Option<(usize, Entry<_>)> = None;
    while let Some(request) = requests.recv().await {
        let served = async {
            loop {
                let (number, mut entry) = match ahead.take() {
                    Some(ahead) => ahead,
                    None => match entries.next().await.transpose()? {
                        // Files that are new since the first pass were not requested.
                        Some(mut entry) => match parse(&mut entry).await? {
                            Some(found) => match index.find(&found.path) {
                                Some(number) => (number, entry),
                                None => continue,
                            },
                            None => continue,
                        },
                        None => return request.failure().await,
                    },
                };
                match number.cmp(&request.number) {
                    Ordering::Less => {}
                    Ordering::Equal => return request.serve(&mut entry, &index).await,
                    Ordering::Greater => {
                        ahead = Some((number, entry));
                        return request.failure().await;
                    }
                }
            }
        };
        if let Err(cause) = served.await {
            request.fail(cause).await;
            return;
        }
    }
}

impl Request {
    /// Sends the requested pieces, as long as there is a reader.
    async fn serve<R: AsyncRead + Unpin>(
        &self,
        entry: &mut Entry<R>,
        index: &Index,
    ) -> io::Result<()> {
        if !entry.header().entry_type().is_file() {
            return self.failure().await;
        }
        let modified = modified(entry).await?;
        let size = entry.effective_size();
        let mut fingerprint = Fingerprint::of(&index.node(self.number).path);
        let mut left = self.length.min(size);
        while left > 0 {
            let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
            entry.read_exact(&mut piece).await?;
            fingerprint.update(&piece);
            left -= piece.len() as u64;
            let sent = self.pieces.send(Ok(Piece::Bytes(piece.into())));
            if sent.await.is_err() {
                return Ok(());
            }
        }
        let stamp = Stamp {
            size,
            modified,
            changed: modified,
            device: 0,
            inode: fingerprint.inode(),
        };
        // The receiver may be gone.
        let _ = self.pieces.send(Ok(Piece::End(stamp))).await;
        Ok(())
    }

    async fn failure(&self) -> io::Result<()> {
        let failure = io::Error::new(io::ErrorKind::NotFound, "it is not there any more");
        self.fail(failure).await;
        Ok(())
    }

    async fn fail(&self, cause: io::Error) {
        // The receiver may be gone.
        let _ = self.pieces.send(Err(cause)).await;
    }
}

impl Passing {
    /// The next piece, or the end.
    fn advance(&mut self) -> io::Result<()> {
        let lost = || io::Error::other("the archive broke off");
        match self.pieces.blocking_recv().ok_or_else(lost)?? {
            Piece::Bytes(bytes) => self.rest = bytes,
            Piece::End(stamp) => self.stamp = Some(stamp),
        }
        Ok(())
    }
}

impl FileReader for Passing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.rest.is_empty() {
                if self.stamp.is_some() {
                    break;
                }
                self.advance()?;
                continue;
            }
            let taken = self.rest.len().min(buffer.len() - filled);
            self.rest.copy_to_slice(&mut buffer[filled..filled + taken]);
            filled += taken;
        }
        Ok(filled)
    }

    fn stamp(&mut self) -> io::Result<Stamp> {
        loop {
            if let Some(stamp) = self.stamp {
                return Ok(stamp);
            }
            self.advance()?;
        }
    }
}
