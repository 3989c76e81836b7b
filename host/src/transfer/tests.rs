//! The loop, with readers and writers in memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::sync::Barrier;

use super::*;
use crate::contract::{Ending, Sequence, entry};
use crate::event::NoEvents;

/// A file of the tree in memory: its name, and how its contents come.
#[derive(Clone)]
enum File {
    /// Announced, and small enough to come inline.
    Small(&'static [u8]),
    /// Announced as small, and gone.
    Gone,
    /// In so many pieces of a mebibyte, without an announced size.
    Stream(usize, Ending),
    /// In so many pieces, and then an error.
    Broken(usize),
}

/// A tree of files at the root, given in batches of at most `batch` entries.
struct MemoryReader {
    files: Vec<(&'static str, File)>,
    batch: usize,
    given: usize,
    sequence: Sequence,
    bytes: AtomicU64,
    verdict: Result<Completeness>,
}

impl MemoryReader {
    fn new(files: impl Into<Vec<(&'static str, File)>>) -> Self {
        Self {
            files: files.into(),
            batch: usize::MAX,
            given: 0,
            sequence: Sequence::default(),
            bytes: AtomicU64::new(0),
            verdict: Ok(Completeness::Complete),
        }
    }

    fn file(&self, id: u64) -> &File {
        &self.files[usize::try_from(id - 1).expect("it is a number of this tree")].1
    }
}

impl Reader for MemoryReader {
    fn subject(&self) -> &'static str {
        "source memory"
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(wanted)).boxed()
    }

    fn next(&mut self, max: u32) -> BoxFuture<'_, Result<Batch>> {
        let rest = &self.files[self.given..];
        let next = rest.len().min(self.batch).min(max as usize);
        let entries = rest[..next]
            .iter()
            .zip(self.given + 1..)
            .map(|((name, file), id)| {
                let size = match file {
                    File::Small(contents) => Some(contents.len() as u64),
                    File::Gone => Some(1),
                    File::Stream(..) | File::Broken(_) => None,
                };
                entry(id as u64, 0, name, EntryKind::File(size))
            });
        let batch = self.sequence.admit(entries.collect());
        self.given += next;
        ready(Ok(batch.expect("it is a tree"))).boxed()
    }

    fn read_small(&mut self, files: Vec<(u64, u64)>) -> BoxFuture<'_, Result<Vec<SmallFile>>> {
        let read = files.into_iter().map(|(id, _)| {
            let (ending, contents) = match self.file(id) {
                File::Small(contents) => (Ending::Whole, Bytes::from_static(contents)),
                _ => (Ending::Omitted, Bytes::new()),
            };
            SmallFile {
                id,
                ending,
                contents,
            }
        });
        ready(Ok(read.collect())).boxed()
    }

    fn read(&self, id: u64, _: Option<u64>, pipe: PipeWriter) -> BoxFuture<'_, Result<Verdict>> {
        let (pieces, verdict) = match self.file(id) {
            File::Stream(pieces, ending) => (*pieces, Ok(*ending)),
            File::Broken(pieces) => (*pieces, Err(Error::new(Kind::Other, "it broke off"))),
            File::Small(_) | File::Gone => panic!("it is small"),
        };
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let bytes = pieces as u64 * piece.len() as u64;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let pump = tokio::spawn(async move {
            for _ in 0..pieces {
                if pipe.room().await.is_err() {
                    return;
                }
                pipe.send(&piece);
            }
        });
        let verdict = async move {
            pump.await.expect("it does not panic");
            verdict
        };
        ready(Ok(verdict.boxed().shared())).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Completeness>> {
        ready(self.verdict).boxed()
    }
}

/// The bytes that a writer got of each file; `None` if it got none.
type Got = Arc<Mutex<BTreeMap<u64, Option<usize>>>>;

/// Where a [`MemoryWriter`] fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Offer,
    PutSmall,
    /// After the first bytes of a stream.
    Put,
    Commit,
    /// It asks for an entry that does not exist.
    AskForTooMuch,
    /// It never answers an offer.
    HangInOffer,
    /// It never takes a byte.
    HangInPut,
    /// It takes half a second to commit.
    CommitLate,
}

/// Takes every file, and tells whether it was committed.
struct MemoryWriter {
    fault: Fault,
    got: Got,
    committed: Arc<Mutex<Option<Completeness>>>,
    /// Where streams wait for each other before they are read.
    together: Option<Arc<Barrier>>,
}

impl MemoryWriter {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            got: Got::default(),
            committed: Arc::default(),
            together: None,
        }
    }

    fn fail_at(&self, fault: Fault) -> Result<()> {
        if self.fault == fault {
            return Err(Error::new(Kind::Unavailable, "it fails").of("sink memory"));
        }
        Ok(())
    }

    async fn hang_at(&self, fault: Fault) {
        if self.fault == fault {
            std::future::pending::<()>().await;
        }
    }

    fn note(&self, id: u64, length: Option<usize>) {
        let mut got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(got.insert(id, length).is_none(), "entry {id} came twice");
    }
}

impl Writer for MemoryWriter {
    fn concurrency(&self, wanted: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(wanted)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let mut needs: HashSet<_> = entries.iter().map(|entry| entry.id).collect();
        if self.fault == Fault::AskForTooMuch {
            needs.insert(1000);
        }
        let answer = self.fail_at(Fault::Offer).map(|()| needs);
        async move {
            self.hang_at(Fault::HangInOffer).await;
            answer
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        for file in files {
            self.note(file.id, file.contents().map(Bytes::len));
        }
        ready(self.fail_at(Fault::PutSmall)).boxed()
    }

    fn put(&self, id: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        async move {
            self.hang_at(Fault::HangInPut).await;
            if let Some(together) = &self.together {
                together.wait().await;
            }
            let mut length = 0;
            while let Some(bytes) = content.bytes.next().await {
                length += bytes.len();
                self.fail_at(Fault::Put)?;
            }
            let ending = content.verdict.await?;
            self.note(id, (ending != Ending::Omitted).then_some(length));
            Ok(())
        }
        .boxed()
    }

    fn commit(self: Box<Self>, completeness: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        let mut committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *committed = Some(completeness);
        let receipt = self.fail_at(Fault::Commit).map(|()| Receipt::default());
        let late = self.fault == Fault::CommitLate;
        async move {
            if late {
                tokio::time::sleep(5 * TEST_MAX_LAG).await;
            }
            receipt
        }
        .boxed()
    }
}

/// How long the first writer waits for the others.
const TEST_MAX_LAG: Duration = Duration::from_millis(200);

/// The result of a transfer. For each writer: the files that it got, and whether it was committed.
type Moves = (
    Result<TransferReport>,
    Vec<(BTreeMap<u64, Option<usize>>, Option<Completeness>)>,
);

async fn move_into(reader: MemoryReader, faults: &[Fault]) -> Moves {
    let writers: Vec<_> = faults
        .iter()
        .map(|fault| MemoryWriter::new(*fault))
        .collect();
    let seen: Vec<_> = writers
        .iter()
        .map(|writer| (writer.got.clone(), writer.committed.clone()))
        .collect();
    let writers = writers.into_iter().map(|writer| TransferWriter {
        required: matches!(writer.fault, Fault::None),
        max_lag: TEST_MAX_LAG,
        waited: Wait::default(),
        writer: Box::new(writer),
    });
    let report = transfer(Box::new(reader), writers.collect(), &NoEvents).await;
    let seen = seen.into_iter().map(|(got, committed)| {
        let got = got.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
        (got, *committed)
    });
    (report, seen.collect())
}

const MIXED: [(&str, File); 4] = [
    ("a", File::Small(b"aaa")),
    ("b", File::Stream(9, Ending::Whole)),
    ("c", File::Small(b"c")),
    ("d", File::Small(b"")),
];

#[tokio::test]
async fn every_writer_gets_every_file_once_whatever_the_batches() {
    let all = BTreeMap::from([(1, Some(3)), (2, Some(9 << 20)), (3, Some(1)), (4, Some(0))]);
    for batch in [1, 2, 3, 100] {
        let mut reader = MemoryReader::new(MIXED);
        reader.batch = batch;
        let (report, writers) = move_into(reader, &[Fault::None, Fault::None]).await;
        let report = report.expect("nothing fails");
        assert_eq!((report.files, report.outcomes.len()), (4, 2));
        for (got, committed) in writers {
            assert_eq!(
                (got, committed),
                (all.clone(), Some(Completeness::Complete))
            );
        }
    }
}

#[tokio::test]
async fn a_writer_that_fails_drops_out_and_the_others_get_everything() {
    for fault in [
        Fault::Offer,
        Fault::PutSmall,
        Fault::Put,
        Fault::Commit,
        Fault::AskForTooMuch,
    ] {
        let mut reader = MemoryReader::new(MIXED);
        reader.batch = 2;
        let (report, writers) = move_into(reader, &[Fault::None, fault, Fault::None]).await;
        let outcomes = report.expect("the reader is well").outcomes;
        let failed = outcomes
            .iter()
            .map(|outcome| matches!(outcome, Outcome::Done(Err(_))));
        assert_eq!(failed.collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(writers[0].0.len(), 4);
        assert_eq!(writers[0], writers[2]);
        assert_eq!(writers[1].1.is_some(), fault == Fault::Commit);
    }
}

#[tokio::test]
async fn nothing_is_read_to_the_end_for_nobody() {
    let reader = MemoryReader::new([("a", File::Stream(1000, Ending::Whole))]);
    let (report, _) = move_into(reader, &[Fault::Put, Fault::Put]).await;
    let outcomes = report.expect("the reader is well").outcomes;
    let mut outcomes = outcomes.iter();
    assert!(outcomes.all(|outcome| matches!(outcome, Outcome::Done(Err(_)))));
}

#[tokio::test]
async fn a_writer_that_is_not_required_and_hangs_is_left_behind() {
    for fault in [Fault::HangInOffer, Fault::HangInPut] {
        let reader = MemoryReader::new(MIXED);
        let (report, writers) = move_into(reader, &[Fault::None, fault]).await;
        let outcomes = report.expect("the reader is well").outcomes;
        assert!(matches!(
            outcomes.as_slice(),
            [Outcome::Done(Ok(_)), Outcome::Behind]
        ));
        assert_eq!(writers[0].0.len(), 4);
        assert!(writers[0].1.is_some() && writers[1].1.is_none());
    }
}

#[tokio::test]
async fn a_writer_that_is_slow_to_commit_goes_on_alone() {
    let reader = MemoryReader::new(MIXED);
    let (report, _) = move_into(reader, &[Fault::None, Fault::CommitLate]).await;
    let mut outcomes = report.expect("the reader is well").outcomes;
    let late = outcomes.pop().expect("there are two");
    assert!(matches!(late, Outcome::Committing(_)));
    assert!(late.receipt().await.is_ok());
}

#[tokio::test]
async fn where_no_writer_is_required_nobody_is_left_behind() {
    let reader = MemoryReader::new(MIXED);
    let (report, _) = move_into(reader, &[Fault::CommitLate, Fault::CommitLate]).await;
    let outcomes = report.expect("the reader is well").outcomes;
    let mut outcomes = outcomes.iter();
    assert!(outcomes.all(|outcome| matches!(outcome, Outcome::Done(Ok(_)))));
}

#[tokio::test]
async fn contents_with_a_bad_verdict_are_committed_nowhere() {
    let reader = MemoryReader::new([("a", File::Small(b"a")), ("b", File::Broken(2))]);
    let (report, writers) = move_into(reader, &[Fault::None, Fault::None]).await;
    let error = report.err().expect("the contents broke off");
    assert_eq!(error.to_string(), "source memory: it broke off");
    assert!(writers.iter().all(|(_, committed)| committed.is_none()));
}

#[tokio::test]
async fn a_bad_verdict_on_the_whole_is_committed_nowhere() {
    let mut reader = MemoryReader::new(MIXED);
    reader.verdict = Err(Error::new(Kind::Other, "the program failed"));
    let (report, writers) = move_into(reader, &[Fault::None]).await;
    assert!(report.is_err());
    assert_eq!((writers[0].0.len(), writers[0].1), (4, None));
}

#[tokio::test]
async fn large_files_of_a_batch_are_moved_at_once() {
    let file = || File::Stream(3, Ending::Whole);
    let reader = MemoryReader::new([("a", file()), ("b", file())]);
    let mut writer = MemoryWriter::new(Fault::None);
    writer.together = Some(Arc::new(Barrier::new(2)));
    let got = writer.got.clone();
    let writer: Box<dyn Writer> = Box::new(writer);
    let report = transfer(Box::new(reader), vec![writer.into()], &NoEvents).await;
    report.expect("both are under way at once");
    assert_eq!(got.lock().expect("nobody panicked").len(), 2);
}

#[tokio::test]
async fn what_changed_is_kept_and_makes_the_tree_incomplete() {
    let reader = MemoryReader::new([("a", File::Stream(1, Ending::Changed))]);
    let (report, writers) = move_into(reader, &[Fault::None]).await;
    let report = report.expect("it is well");
    assert_eq!(report.completeness, Completeness::Incomplete);
    assert_eq!(writers[0].0, BTreeMap::from([(1, Some(1 << 20))]));
}

#[tokio::test]
async fn what_cannot_be_had_is_left_out_and_makes_the_tree_incomplete() {
    for file in [File::Gone, File::Stream(1, Ending::Omitted)] {
        let reader = MemoryReader::new([("a", file), ("b", File::Small(b"b"))]);
        let (report, writers) = move_into(reader, &[Fault::None]).await;
        assert_eq!(
            report.expect("it is well").completeness,
            Completeness::Incomplete
        );
        let got = BTreeMap::from([(1, None), (2, Some(1))]);
        assert_eq!(writers[0], (got, Some(Completeness::Incomplete)));
    }
}

/// Takes note of the paths that it is offered, and asks for all contents.
#[derive(Default)]
struct PathWriter {
    paths: BTreeMap<u64, String>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Writer for PathWriter {
    fn concurrency(&self, _: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(1)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        let mut needs = HashSet::new();
        for entry in entries.iter() {
            let parent = self.paths.get(&entry.parent).cloned().unwrap_or_default();
            let name = String::from_utf8_lossy(entry.name.as_bytes());
            let path = format!("{parent}/{name}");
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(path.clone());
            self.paths.insert(entry.id, path);
            if matches!(entry.kind, EntryKind::File(_)) {
                needs.insert(entry.id);
            }
        }
        ready(Ok(needs)).boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        for file in files {
            // Each file holds its own path.
            let contents = String::from_utf8_lossy(&file.contents).into_owned();
            assert_eq!(Some(&contents), self.paths.get(&file.id));
        }
        ready(Ok(())).boxed()
    }

    fn put(&self, _: u64, _: Content) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        ready(Ok(Receipt::default())).boxed()
    }
}

/// What passes a filter of this tree: `/a/b/c`, `/a/d` and `/e`, where `a` and `b` are directories.
async fn pass(exclude: &[&str], include: &[&str]) -> Vec<String> {
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let patterns = tthost_patterns::Patterns::new(&owned(exclude), &owned(include));
    let writer = PathWriter::default();
    let seen = writer.seen.clone();
    let mut filter = Filter::new(patterns.expect("they are patterns"), Box::new(writer));
    let file = || EntryKind::File(Some(1));
    let entries = [
        entry(1, 0, "a", EntryKind::Directory),
        entry(2, 1, "b", EntryKind::Directory),
        entry(3, 2, "c", file()),
        entry(4, 1, "d", file()),
        entry(5, 0, "e", file()),
    ];
    let paths = [(3, "/a/b/c"), (4, "/a/d"), (5, "/e")];
    let mut sequence = Sequence::default();
    for batch in entries.chunks(2) {
        let batch = sequence.admit(batch.to_vec()).expect("it is a tree");
        let needs = filter.offer(batch).await.expect("it takes all");
        let files = paths.iter().filter(|(id, _)| needs.contains(id));
        let files = files.map(|(id, path)| SmallFile {
            id: *id,
            ending: Ending::Whole,
            contents: Bytes::from_static(path.as_bytes()),
        });
        filter
            .put_small(files.collect())
            .await
            .expect("it takes all");
    }
    seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[tokio::test]
async fn a_filter_hands_on_what_its_patterns_take_and_the_directories_above() {
    let all = ["/a", "/a/b", "/a/b/c", "/a/d", "/e"];
    assert_eq!(pass(&[], &[]).await, all);
    assert_eq!(pass(&["b"], &[]).await, ["/a", "/a/d", "/e"]);
    assert_eq!(pass(&[], &["c"]).await, ["/a", "/a/b", "/a/b/c"]);
    assert_eq!(pass(&[], &["/a/b/"]).await, ["/a", "/a/b", "/a/b/c"]);
    assert_eq!(pass(&["c"], &["e", "b"]).await, ["/a", "/a/b", "/e"]);
    assert_eq!(pass(&[], &["nothing"]).await, [""; 0]);
}
