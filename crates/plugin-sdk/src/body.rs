//! Bytes on their way, with the verdict on them.

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::tthost::backup::types::Error;
use crate::bindings::{wit_future, wit_stream};
use crate::store::Part;

/// Bytes that are given and taken at a time.
const PIECE: usize = 1 << 20;

/// Bytes that come or go piece by piece, and whether they were all. Their end says nothing about that.
pub struct Body {
    stream: StreamReader<u8>,
    verdict: Verdict,
}

/// What is going to be said of the bytes. A component cannot listen to itself through the contract's futures.
enum Verdict {
    Told(FutureReader<Result<(), Error>>),
    Own(LocalBoxFuture<'static, Result<(), Error>>),
}

impl Body {
    /// These bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        let (mut writer, stream) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            for piece in bytes.chunks(PIECE) {
                // Who takes no more knows why.
                if !writer.write_all(piece.to_vec()).await.is_empty() {
                    return;
                }
            }
        });
        Self::judged(stream, async { Ok(()) })
    }

    /// The part of these bytes that is asked for, or all; `corrupt` where the part goes beyond their end.
    pub fn part_of(bytes: &[u8], part: Option<Part>) -> Result<Self, Error> {
        let Some(Part { offset, length }) = part else {
            return Ok(Self::of(bytes.to_vec()));
        };
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

    /// A stream that somebody else fills, and what is going to be said of it. Nothing is copied.
    pub fn judged(
        stream: StreamReader<u8>,
        verdict: impl Future<Output = Result<(), Error>> + 'static,
    ) -> Self {
        Self {
            stream,
            verdict: Verdict::Own(verdict.boxed_local()),
        }
    }

    /// A body that somebody else gave.
    pub(crate) fn given(
        (stream, verdict): (StreamReader<u8>, FutureReader<Result<(), Error>>),
    ) -> Self {
        Self {
            stream,
            verdict: Verdict::Told(verdict),
        }
    }

    /// What somebody else is given.
    pub(crate) fn give(self) -> (StreamReader<u8>, FutureReader<Result<(), Error>>) {
        let verdict = match self.verdict {
            Verdict::Told(verdict) => verdict,
            Verdict::Own(verdict) => {
                let (tell, told) = wit_future::new(cut_off);
                wit_bindgen::spawn_local(async move {
                    // Nobody need be listening.
                    let _ = tell.write(verdict.await).await;
                });
                told
            }
        };
        (self.stream, verdict)
    }

    /// The next bytes, at most 1 MiB of them; none at the end, of which [`finish`](Self::finish) tells the meaning.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let (result, bytes) = self.stream.read(Vec::with_capacity(PIECE)).await;
        match result {
            StreamResult::Complete(_) => Some(bytes),
            StreamResult::Dropped | StreamResult::Cancelled => {
                Some(bytes).filter(|bytes| !bytes.is_empty())
            }
        }
    }

    /// Whether those were all of them.
    pub async fn finish(self) -> Result<(), Error> {
        drop(self.stream);
        match self.verdict {
            Verdict::Told(verdict) => verdict.await,
            Verdict::Own(verdict) => verdict.await,
        }
    }

    /// All of them, which are `size` bytes.
    pub async fn bytes(mut self, size: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        while let Some(piece) = self.next().await {
            bytes.extend(piece);
        }
        self.finish().await?;
        if bytes.len() as u64 != size {
            return Err(Error::Corrupt(format!(
                "{} bytes came where {size} were announced",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

fn cut_off() -> Result<(), Error> {
    Err(Error::Cancelled("the bytes were given up".into()))
}
