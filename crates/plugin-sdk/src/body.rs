//! Streamed bytes and their verdict.

use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

use crate::tree::{Ending, Range};
use crate::{Error, Result};

/// The number of bytes that are transferred at a time.
const PIECE: usize = 1 << 20;

/// Streamed bytes and their verdict. The end of the bytes does not mean that they are complete: only
/// [`finish`](Self::finish) says that.
pub struct Body<V: 'static = ()> {
    bytes: Bytes,
    verdict: Verdict<V>,
}

/// The contents of a file. Their verdict also says whether the file disappeared or changed.
pub type Contents = Body<Ending>;

enum Bytes {
    /// These bytes, and the number of those that were already read.
    Held(Vec<u8>, usize),
    /// A stream from the host or another plugin.
    Stream(StreamReader<u8>),
    /// Bytes that a function generates on demand.
    Made(mpsc::Receiver<Vec<u8>>),
}

/// The future verdict on the bytes.
enum Verdict<V: 'static> {
    Told(FutureReader<Result<V>>),
    Own(LocalBoxFuture<'static, Result<V>>),
    Known(Result<V>),
}

/// Creates a future with its default value.
type NewFuture<V> = fn(fn() -> Result<V>) -> (FutureWriter<Result<V>>, FutureReader<Result<V>>);

/// The output of a function that generates bytes.
pub struct Output(mpsc::Sender<Vec<u8>>);

impl Output {
    /// Writes the next bytes, and waits until the reader asks for more. An error means that the reader is gone.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.send(bytes).await.map_err(|_| cut_off())
    }
}

/// Checks bytes while they stream by.
pub trait Check: 'static {
    /// The next bytes.
    fn follow(&mut self, bytes: &[u8]);

    /// Whether the bytes were complete and valid.
    fn finish(&mut self) -> Result<()>;
}

impl Body {
    /// These bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::known(bytes, Ok(()))
    }

    /// The requested part of these bytes, or all; `corrupt` if the part extends beyond their end.
    pub fn part_of(bytes: &[u8], part: Option<crate::store::Part>) -> Result<Self> {
        let Some(part) = part else {
            return Ok(Self::of(bytes.to_vec()));
        };
        let (offset, length) = (part.offset, part.length);
        let range = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok());
        let part = range.and_then(|(offset, length)| bytes.get(offset..)?.get(..length));
        let part = part.ok_or_else(|| {
            Error::Corrupt(format!(
                "{} bytes have no part of {length} from {offset} on",
                bytes.len()
            ))
        })?;
        Ok(Self::of(part.to_vec()))
    }
}

impl Contents {
    /// These bytes, which are the complete contents.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self::known(bytes, Ok(Ending::Whole))
    }

    /// No contents, because the file is unavailable. Every writer omits it. Log the reason.
    pub fn omitted() -> Self {
        Self::known(Vec::new(), Ok(Ending::Omitted))
    }

    /// These bytes, and how they ended.
    pub fn ended(bytes: Vec<u8>, ending: Ending) -> Self {
        Self::known(bytes, Ok(ending))
    }

    /// A part of them. It ends at their end.
    #[must_use]
    pub fn part(mut self, part: Range) -> Self {
        Self::made(async move |mut output| {
            let (mut skipped, mut given) = (0, 0);
            while given < part.length
                && let Some(mut piece) = self.next().await
            {
                let skip = (part.offset - skipped).min(piece.len() as u64);
                skipped += skip;
                piece.drain(..usize::try_from(skip).unwrap_or(piece.len()));
                let left = usize::try_from(part.length - given).unwrap_or(usize::MAX);
                piece.truncate(left);
                given += piece.len() as u64;
                output.write(piece).await?;
            }
            // Whether it is right, only the whole tells.
            while self.next().await.is_some() {}
            self.finish().await
        })
    }
}

impl From<Body> for Contents {
    fn from(body: Body) -> Self {
        Self {
            bytes: body.bytes,
            verdict: match body.verdict {
                Verdict::Told(verdict) => {
                    Verdict::Own(async { verdict.await.map(|()| Ending::Whole) }.boxed_local())
                }
                Verdict::Own(verdict) => Verdict::Own(
                    verdict
                        .map(|ended| ended.map(|()| Ending::Whole))
                        .boxed_local(),
                ),
                Verdict::Known(verdict) => Verdict::Known(verdict.map(|()| Ending::Whole)),
            },
        }
    }
}

impl<V: 'static> Body<V> {
    fn known(bytes: Vec<u8>, verdict: Result<V>) -> Self {
        Self {
            bytes: Bytes::Held(bytes, 0),
            verdict: Verdict::Known(verdict),
        }
    }

    /// A stream of the host, and its future verdict. The bytes are not copied.
    pub fn judged(
        stream: StreamReader<u8>,
        verdict: impl Future<Output = Result<V>> + 'static,
    ) -> Self {
        Self {
            bytes: Bytes::Stream(stream),
            verdict: Verdict::Own(verdict.boxed_local()),
        }
    }

    /// Bytes that a function generates on demand. The result of the function is the verdict. If the reader is gone, the function is
    /// dropped.
    pub fn made(work: impl AsyncFnOnce(Output) -> Result<V> + 'static) -> Self {
        let (sender, pieces) = mpsc::channel(0);
        let work = async move { work(Output(sender)).await };
        Self {
            bytes: Bytes::Made(pieces),
            verdict: Verdict::Own(work.boxed_local()),
        }
    }

    /// The same bytes with a check while they stream by. The verdict is `ok` only if the check succeeds too.
    #[must_use]
    pub fn checked(mut self, mut check: impl Check) -> Self {
        Self::made(async move |mut output| {
            while let Some(piece) = self.next().await {
                check.follow(&piece);
                output.write(piece).await?;
            }
            let verdict = self.finish().await?;
            check.finish()?;
            Ok(verdict)
        })
    }

    /// A stream that came from elsewhere.
    pub(crate) fn given((stream, verdict): (StreamReader<u8>, FutureReader<Result<V>>)) -> Self {
        Self {
            bytes: Bytes::Stream(stream),
            verdict: Verdict::Told(verdict),
        }
    }

    /// The original stream of the host, to pass it to another interface of the host. An error if it is not a stream of the host.
    pub fn into_given(self) -> Result<(StreamReader<u8>, FutureReader<Result<V>>)> {
        match (self.bytes, self.verdict) {
            (Bytes::Stream(stream), Verdict::Told(verdict)) => Ok((stream, verdict)),
            _ => Err(Error::Other(
                "these contents are no stream of the host".into(),
            )),
        }
    }

    /// The next bytes, at most 1 MiB; `None` at the end. Then ask [`finish`](Self::finish) for the verdict.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let (more, bytes) = self.read(Vec::new()).await;
        Some(bytes).filter(|bytes| more || !bytes.is_empty())
    }

    /// Appends the next bytes to these, and returns whether there can be more.
    pub async fn read(&mut self, mut buffer: Vec<u8>) -> (bool, Vec<u8>) {
        match &mut self.bytes {
            Bytes::Held(bytes, gone) => {
                let piece = &bytes[*gone..bytes.len().min(*gone + PIECE)];
                buffer.extend_from_slice(piece);
                *gone += piece.len();
                (*gone < bytes.len(), buffer)
            }
            Bytes::Stream(stream) => {
                if buffer.len() == buffer.capacity() {
                    buffer.reserve(PIECE);
                }
                let (result, buffer) = stream.read(buffer).await;
                (matches!(result, StreamResult::Complete(_)), buffer)
            }
            Bytes::Made(pieces) => {
                let piece = match &mut self.verdict {
                    Verdict::Own(work) => match select(pieces.next(), work).await {
                        Either::Left((piece, _)) => piece,
                        Either::Right((verdict, rest)) => {
                            let piece = rest.await;
                            self.verdict = Verdict::Known(verdict);
                            piece
                        }
                    },
                    Verdict::Told(_) | Verdict::Known(_) => pieces.next().await,
                };
                match piece {
                    Some(piece) if buffer.is_empty() => (true, piece),
                    Some(piece) => {
                        buffer.extend(piece);
                        (true, buffer)
                    }
                    None => (false, buffer),
                }
            }
        }
    }

    /// The verdict. Call it after the last byte: it drops everything that was not read.
    pub async fn finish(self) -> Result<V> {
        drop(self.bytes);
        match self.verdict {
            Verdict::Told(verdict) => verdict.await,
            Verdict::Own(verdict) => verdict.await,
            Verdict::Known(verdict) => verdict,
        }
    }

    /// All bytes, and the verdict on them.
    pub(crate) async fn collect(mut self) -> Result<(Vec<u8>, V)> {
        let mut all = Vec::new();
        loop {
            let more;
            (more, all) = self.read(all).await;
            if !more {
                let verdict = self.finish().await?;
                return Ok((all, verdict));
            }
        }
    }

    /// Turns the bytes into a stream of an interface that this plugin has. The listener receives the verdict at the end.
    pub(crate) fn give(
        mut self,
        new_stream: fn() -> (StreamWriter<u8>, StreamReader<u8>),
        new_future: NewFuture<V>,
        listener: impl FnOnce(&Result<V>) + 'static,
    ) -> (StreamReader<u8>, FutureReader<Result<V>>) {
        let (tell, told) = new_future(|| Err(cut_off()));
        let stream = match self.bytes {
            Bytes::Stream(stream) => {
                self.bytes = Bytes::Held(Vec::new(), 0);
                wit_bindgen::spawn_local(conclude(self, tell, listener));
                stream
            }
            Bytes::Held(..) | Bytes::Made(_) => {
                let (mut writer, stream) = new_stream();
                wit_bindgen::spawn_local(async move {
                    while let Some(piece) = self.next().await {
                        // Who takes no more knows why.
                        if !writer.write_all(piece).await.is_empty() {
                            return;
                        }
                    }
                    drop(writer);
                    conclude(self, tell, listener).await;
                });
                stream
            }
        };
        (stream, told)
    }
}

async fn conclude<V: 'static>(
    body: Body<V>,
    tell: FutureWriter<Result<V>>,
    listener: impl FnOnce(&Result<V>),
) {
    let verdict = body.finish().await;
    listener(&verdict);
    // Nobody need be listening.
    let _ = tell.write(verdict).await;
}

impl Body {
    /// All of them, which must be `size` bytes.
    pub async fn bytes(self, size: u64) -> Result<Vec<u8>> {
        let (bytes, ()) = self.collect().await?;
        if bytes.len() as u64 != size {
            return Err(Error::Corrupt(format!(
                "{} bytes came where {size} were announced",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

fn cut_off() -> Error {
    Error::Cancelled("the bytes were given up".into())
}
