//! Both ends in one store: a stream is filled from one pipe and read into another.

use tokio::task::yield_now;
use wasmtime::Store;

use super::*;
use crate::event::NoEvents;
use crate::pipe::pipe;
use crate::plugin::Runtime;

/// A store with a stream from a pipe into another.
struct Through {
    store: Store<()>,
    writer: PipeWriter,
    reader: PipeReader,
    meter: Arc<Meter>,
    activity: Activity,
    outcome: oneshot::Receiver<StreamOutcome>,
    drained: Drained,
}

impl Through {
    fn new(limit: Option<u64>) -> Self {
        Self::announced(None, limit)
    }

    fn announced(size: Option<u64>, limit: Option<u64>) -> Self {
        let runtime = Runtime::new(None, Arc::new(NoEvents)).expect("it starts");
        let mut store = Store::new(runtime.engine(), ());
        let (writer, mut sources) = pipe(1);
        let (taken, mut readers) = pipe(1);
        let (meter, activity) = (Meter::new(limit), Activity::default());
        let (count, outcome) = Count::begin(meter.clone(), size);
        let drained = Drained::default();
        let feed = Feed {
            bytes: sources.pop().expect("there is one"),
            activity: activity.clone(),
            drained: drained.clone(),
        };
        let intake = Intake {
            pipe: taken,
            activity: activity.clone(),
            count,
        };
        let stream = StreamReader::new(&mut store, feed).expect("the store takes it");
        stream.pipe(&mut store, intake).expect("it can be read");
        Self {
            store,
            writer,
            reader: readers.pop().expect("there is one"),
            meter,
            activity,
            outcome,
            drained,
        }
    }
}

/// Bytes that are different everywhere.
fn numbers(length: usize) -> Bytes {
    let numbers = (0_u32..).flat_map(u32::to_le_bytes);
    numbers.take(length).collect::<Vec<_>>().into()
}

/// All that comes.
async fn read_all(reader: PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await {
        all.extend(bytes);
    }
    all
}

#[tokio::test]
async fn every_byte_goes_through_in_its_order_however_it_is_cut() {
    let mut through = Through::new(None);
    let sent = numbers(3 * CHUNK + 7);
    let mut rest = sent.clone();
    for length in [1, 0, 1000, CHUNK + 1] {
        through.writer.send(&rest.split_to(length));
    }
    through.writer.send(&rest);
    drop(through.writer);
    let taken = through
        .store
        .run_concurrent(async |_| read_all(through.reader).await);
    let taken = taken.await.expect("nothing traps");
    assert!(taken == sent, "{} bytes came", taken.len());
    assert_eq!(through.meter.bytes(), sent.len() as u64);
    let outcome = through.outcome.await.expect("the stream has ended");
    assert_eq!(outcome, StreamOutcome::All(sent.len() as u64));
    assert!(through.drained.is_whole());
    assert!(through.activity.count() > 0, "it looks dead");
}

#[tokio::test]
async fn what_comes_later_is_waited_for() {
    let mut through = Through::new(None);
    let writer = through.writer;
    let send = async {
        for byte in 0..10_u8 {
            for _ in 0..10 {
                yield_now().await;
            }
            writer.send(&Bytes::from(vec![byte]));
        }
        drop(writer);
    };
    let taken = through.store.run_concurrent(async |_| {
        let (taken, ()) = futures::join!(read_all(through.reader), send);
        taken
    });
    let taken = taken.await.expect("nothing traps");
    assert_eq!(taken, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_reader_that_waits_holds_up_the_stream() {
    let mut through = Through::new(None);
    let sent = numbers(32 * CHUNK);
    through.writer.send(&sent);
    let taken = through.store.run_concurrent(async |_| {
        for _ in 0..1000 {
            yield_now().await;
        }
        let before = through.meter.bytes();
        drop(through.writer);
        (before, read_all(through.reader).await)
    });
    let (before, taken) = taken.await.expect("nothing traps");
    assert!(before > 0, "nothing was taken ahead");
    assert!(before < 16 * CHUNK as u64, "{before} bytes were taken");
    assert!(taken == sent, "{} bytes came", taken.len());
}

#[tokio::test]
async fn a_plugin_that_gives_too_much_is_not_heard_to_the_end() {
    let mut through = Through::new(Some(CHUNK as u64 + 1));
    through.writer.send(&numbers(8 * CHUNK));
    let taken = through
        .store
        .run_concurrent(async |_| read_all(through.reader).await);
    let taken = taken.await.expect("nothing traps");
    assert!(taken.len() <= CHUNK + 1, "{} bytes came", taken.len());
    through.meter.check().expect_err("it gave too much");
}

#[tokio::test]
async fn a_stream_far_longer_than_announced_is_not_heard_to_the_end() {
    let mut through = Through::announced(Some(1), None);
    through.writer.send(&numbers(8 * CHUNK));
    let taken = through
        .store
        .run_concurrent(async |_| read_all(through.reader).await);
    let taken = taken.await.expect("nothing traps");
    assert!(taken.len() <= CHUNK + 2, "{} bytes came", taken.len());
    let outcome = through.outcome.await.expect("the stream has ended");
    assert_eq!(outcome, StreamOutcome::TooLong);
}

#[tokio::test]
async fn where_nobody_reads_the_stream_ends() {
    let mut through = Through::new(None);
    drop(through.reader);
    through.writer.send(&numbers(CHUNK));
    let left = through.store.run_concurrent(async |_| {
        for _ in 0..1000 {
            if through.writer.room().await.is_err() {
                return true;
            }
            yield_now().await;
        }
        false
    });
    assert!(left.await.expect("nothing traps"), "it is fed for nobody");
    assert_eq!(through.meter.bytes(), 0);
    // What nobody took tells nothing of what there was.
    let outcome = through.outcome.await.expect("the stream has ended");
    assert_eq!(outcome, StreamOutcome::Unwanted);
    assert!(!through.drained.is_whole());
}
