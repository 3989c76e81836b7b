//! The two ends of a transfer inside the stores: one moves a plugin's stream into a pipe, the other fills a plugin's
//! stream from a pipe. Streams that a plugin only passes on bypass this.

use std::any::{Any, TypeId};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Access, Destination, FutureConsumer, FutureReader, Lift, Lower, Source, StreamConsumer,
    StreamProducer, StreamReader, StreamResult,
};

use super::bindings::types;
use super::convert::{from_contract, to_contract};
use super::host_stream::HostStream;
use super::instance::ExitStatus;
use super::state::{Activity, State};
use crate::contract::{self, BytesOf, Ending};
use crate::error::{Error, Kind, Result};
use crate::pipe::{self, Content, Meter, PipeReader, PipeWriter, Verdict};

/// Bytes that are taken from a stream, or given to one, at a time.
const CHUNK: usize = 1 << 20;

/// The verdict on a stream, as the contract has it: how the contents of an entry ended, or only that all of an object came.
pub(crate) trait StreamVerdict: Lift + Lower + Send + Sync + 'static {
    fn ending(self) -> Ending;

    fn of(ending: Ending) -> Self;
}

impl StreamVerdict for types::Ending {
    fn ending(self) -> Ending {
        self.into()
    }

    fn of(ending: Ending) -> Self {
        ending.into()
    }
}

impl StreamVerdict for () {
    fn ending(self) -> Ending {
        Ending::Whole
    }

    fn of(_: Ending) -> Self {}
}

/// The subject of a stream, and the announced length.
#[derive(Clone)]
pub(crate) struct Announced {
    pub(crate) whose: BytesOf,
    /// Its size in bytes, where there was one.
    pub(crate) size: Option<u64>,
}

/// Takes a stream of the plugin into the pipe, and answers its verdict. In place of a verdict that
/// never came it is how the plugin ended, and in place of a good one that is not true, what was
/// announced and what came.
pub(crate) fn take_in<T: StreamVerdict>(
    access: &mut Access<'_, State>,
    file: Announced,
    (stream, verdict): StreamAndVerdict<T>,
    pipe: PipeWriter,
    meter: Arc<Meter>,
    exit_status: Option<ExitStatus>,
) -> wasmtime::Result<Verdict> {
    let (tell, told) = oneshot::channel();
    let (count, outcome) = Count::begin(meter.clone(), file.size);
    match own(access, stream) {
        Ok(own) => drop(tokio::spawn(pump(own, pipe, count))),
        Err(stream) => take(access, stream, pipe, count)?,
    }
    verdict.pipe(&mut *access, VerdictSink { tell: Some(tell) })?;
    let outcome = outcome.shared();
    let verdict = async move {
        let told = tokio::select! {
            biased;
            // Whatever it would say of that.
            Ok(StreamOutcome::TooLong) = outcome.clone() => {
                meter.check()?;
                return Err(too_much(&file));
            }
            told = told => told,
        };
        let Ok(verdict) = told else {
            let ended = exit_status.and_then(|status| status.borrow().clone());
            return Err(ended.unwrap_or_else(|| {
                Error::new(Kind::Plugin, "it ended its contents without a verdict")
            }));
        };
        let ending = verdict.map(T::ending).map_err(from_contract)?;
        match outcome.await {
            Ok(StreamOutcome::All(bytes)) => {
                contract::check_length(&file.whose, file.size, ending, bytes)
                    .map_err(|invalid| Error::new(Kind::Plugin, invalid.to_string()))?;
            }
            Ok(StreamOutcome::TooLong) => {
                meter.check()?;
                return Err(too_much(&file));
            }
            // The contents were not wanted, so the count is incomplete.
            Ok(StreamOutcome::Unwanted) | Err(_) => {}
        }
        Ok(ending)
    };
    Ok(verdict.boxed().shared())
}

/// The bytes of a stream that a plugin hands to the host. Of one that the host did not fill itself, as much waits as a pipe
/// holds.
pub(super) fn bytes_of(
    access: &mut Access<'_, State>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<BoxStream<'static, Bytes>> {
    let stream = match own(access, stream) {
        Ok(own) => return Ok(own),
        Err(stream) => stream,
    };
    let (pipe, bytes) = pipe::single();
    let (count, _) = Count::begin(Meter::new(None), None);
    take(access, stream, pipe, count)?;
    let next = async |bytes: PipeReader| Some((bytes.next().await?, bytes));
    Ok(stream::unfold(bytes, next).boxed())
}

/// The bytes of a stream that the host filled, and that a plugin only handed on.
fn own(
    access: &mut Access<'_, State>,
    stream: StreamReader<u8>,
) -> Result<BoxStream<'static, Bytes>, StreamReader<u8>> {
    let stream = match stream.try_into::<HostStream>(&mut *access) {
        Ok(made) => {
            let next = async |mut made: HostStream| Some((made.next().await?, made));
            return Ok(stream::unfold(made, next).boxed());
        }
        Err(stream) => stream,
    };
    let fed = stream.try_into::<Feed>(&mut *access)?;
    let next = async |fed: Feed| Some((fed.next().await?, fed));
    Ok(stream::unfold(fed, next).boxed())
}

/// Takes the bytes of a plugin's own stream.
fn take(
    access: &mut Access<'_, State>,
    stream: StreamReader<u8>,
    pipe: PipeWriter,
    count: Count,
) -> wasmtime::Result<()> {
    let activity = access.get().activity.clone();
    let intake = Intake {
        pipe,
        activity,
        count,
    };
    stream.pipe(&mut *access, intake)
}

/// The error of a plugin whose stream does not end where it could.
fn too_much(file: &Announced) -> Error {
    let longest = contract::longest_stream(file.size);
    let (text, help) = match file.size {
        Some(size) => (
            format!(
                "{} have more than {longest} bytes, and {size} were announced",
                file.whose
            ),
            "this is a bug in the plugin",
        ),
        None => (
            format!("{} have more than {longest} bytes", file.whose),
            "set limits.output to what the plugin has to give",
        ),
    };
    Error::new(Kind::Plugin, text).help(help)
}

/// The contents that a stream carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamOutcome {
    /// So many bytes, to its end.
    All(u64),
    /// More than it may.
    TooLong,
    /// It was not read to its end.
    Unwanted,
}

/// Counts the bytes of one stream, and reports the result when the stream has ended.
struct Count {
    meter: Arc<Meter>,
    longest: u64,
    outcome: StreamOutcome,
    tell: Option<oneshot::Sender<StreamOutcome>>,
}

impl Count {
    fn begin(
        meter: Arc<Meter>,
        announced: Option<u64>,
    ) -> (Self, oneshot::Receiver<StreamOutcome>) {
        let (tell, told) = oneshot::channel();
        // Without an announced size, the operator's limit is what counts where there is one.
        let longest = match (announced, meter.limit()) {
            (None, Some(_)) => u64::MAX,
            (size, _) => contract::longest_stream(size),
        };
        let count = Self {
            meter,
            longest,
            outcome: StreamOutcome::All(0),
            tell: Some(tell),
        };
        (count, told)
    }

    /// Counts bytes, unless the plugin has given too many.
    fn add(&mut self, length: usize) -> Result<(), Oversized> {
        let StreamOutcome::All(bytes) = &mut self.outcome else {
            return Err(Oversized);
        };
        *bytes += length as u64;
        let is_within = *bytes <= self.longest && self.meter.add(length as u64).is_ok();
        if !is_within {
            self.outcome = StreamOutcome::TooLong;
            return Err(Oversized);
        }
        Ok(())
    }

    /// The last reader is gone.
    fn give_up(&mut self) {
        self.outcome = StreamOutcome::Unwanted;
    }
}

/// A plugin gave more than it may.
#[derive(Debug)]
struct Oversized;

impl Drop for Count {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            // The receiver may be gone.
            let _ = tell.send(self.outcome);
        }
    }
}

/// The two ends of a file for a plugin: its bytes and their verdict.
type StreamAndVerdict<T> = (StreamReader<u8>, FutureReader<Result<T, types::Error>>);

/// Whether a plugin took a stream to its end. Clones are of the same stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drained(Arc<AtomicBool>);

impl Drained {
    pub(crate) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream and a verdict for the plugin, fed from the pipe.
pub(crate) fn feed<T: StreamVerdict>(
    access: &mut Access<'_, State>,
    content: Content,
    drained: Drained,
) -> wasmtime::Result<StreamAndVerdict<T>> {
    let Content { bytes, verdict } = content;
    let activity = access.get().activity.clone();
    let feed = Feed {
        bytes,
        activity,
        drained,
    };
    let stream = StreamReader::new(&mut *access, feed)?;
    let verdict = FutureReader::new(&mut *access, async move {
        Ok::<_, wasmtime::Error>(
            verdict
                .await
                .map(T::of)
                .map_err(|error| to_contract(&error)),
        )
    })?;
    Ok((stream, verdict))
}

/// Moves a stream of the host's own into the pipe.
async fn pump(mut own: BoxStream<'static, Bytes>, pipe: PipeWriter, mut count: Count) {
    while pipe.room().await.is_ok() {
        match own.next().await {
            Some(bytes) if count.add(bytes.len()).is_ok() => pipe.send(&bytes),
            _ => return,
        }
    }
    count.give_up();
}

/// Moves a plugin's stream into the pipe.
struct Intake {
    pipe: PipeWriter,
    activity: Activity,
    count: Count,
}

impl<D: 'static> StreamConsumer<D> for Intake {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // Wait for capacity on every output first: bytes that were read cannot be returned.
        match self.pipe.poll_room(context) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            room => {
                if ready!(room).is_err() {
                    self.count.give_up();
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        self.activity.note();
        let mut source = source.as_direct(store);
        let available = source.remaining();
        let taken = available.len().min(CHUNK);
        if taken == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if self.count.add(taken).is_err() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let bytes = Bytes::copy_from_slice(&available[..taken]);
        source.mark_read(taken);
        self.pipe.send(&bytes);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Moves what comes out of the pipe into a plugin.
struct Feed {
    bytes: PipeReader,
    activity: Activity,
    drained: Drained,
}

impl Feed {
    /// The next bytes, for a consumer in the host; `None` at the end.
    async fn next(&self) -> Option<Bytes> {
        let next = self.bytes.next().await;
        self.activity.note();
        if next.is_none() {
            self.drained.0.store(true, Ordering::Relaxed);
        }
        next
    }
}

impl<D> StreamProducer<D> for Feed {
    type Item = u8;
    type Buffer = bytes::BytesMut;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut destination = destination.as_direct(store, CHUNK);
        let mut room = destination.remaining();
        let mut given = 0;
        let mut closed = false;
        while !room.is_empty() {
            match self.bytes.poll_next(context, room.len()) {
                Poll::Ready(Some(bytes)) => {
                    room[..bytes.len()].copy_from_slice(&bytes);
                    room = &mut room[bytes.len()..];
                    given += bytes.len();
                }
                Poll::Ready(None) => {
                    closed = true;
                    self.drained.0.store(true, Ordering::Relaxed);
                    break;
                }
                Poll::Pending if given > 0 => break,
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.activity.note();
        if given > 0 {
            destination.mark_written(given);
        }
        Poll::Ready(Ok(if closed {
            StreamResult::Dropped
        } else {
            StreamResult::Completed
        }))
    }

    fn try_into(me: Pin<Box<Self>>, wanted: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        if wanted == TypeId::of::<Self>() {
            let own: Box<Self> = Pin::into_inner(me);
            Ok(own)
        } else {
            Err(me)
        }
    }
}

/// Hears a verdict.
struct VerdictSink<T> {
    tell: Option<oneshot::Sender<Result<T, types::Error>>>,
}

impl<T: StreamVerdict, D: 'static> FutureConsumer<D> for VerdictSink<T> {
    type Item = Result<T, types::Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut verdict = None;
        source.read(store, &mut verdict)?;
        if let (Some(verdict), Some(tell)) = (verdict, self.tell.take()) {
            // The receiver may be gone.
            let _ = tell.send(verdict);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
