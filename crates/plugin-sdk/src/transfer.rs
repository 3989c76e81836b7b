//! Implements the contract's `transfer` on top of [`Reader`] and [`Writer`]: numbers, batches, verdicts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::trees::exports::tthost::backup::transfer;
use crate::bindings::trees::{wit_future, wit_stream};
use crate::log;
use crate::numbers::{Numbers, Owner};
use crate::tree::{
    Completeness, Contents, Ending, Entries, Entry, Kind, Range, Reader, Receipt, Small,
    SmallContents, Writer,
};
use crate::{Error, Level, Result};

/// A tree that the host reads.
pub struct Reading<R: Reader> {
    reader: R,
    owner: Owner,
    /// Logs damage and skips it.
    skips_damaged: bool,
    /// `None` while a call uses it.
    cursor: RefCell<Option<Cursor<R::File>>>,
    /// The files of the last two batches, the older one first.
    files: RefCell<[Files<R::File>; 2]>,
    state: Rc<State>,
}

struct Cursor<F> {
    /// `None` after the last entry.
    entries: Option<Entries<F>>,
    numbers: Numbers,
}

struct File<F> {
    path: Vec<u8>,
    file: Option<Rc<F>>,
}

type Files<F> = HashMap<u64, Rc<File<F>>>;

/// The verdicts on the contents of files.
#[derive(Default)]
struct State {
    /// Files that were not read to the end without an error.
    unread: RefCell<BTreeMap<u64, Vec<u8>>>,
    is_incomplete: Cell<bool>,
}

impl State {
    fn begin(&self, id: u64, path: &[u8]) {
        self.unread.borrow_mut().insert(id, path.to_owned());
    }

    fn end(&self, id: u64, ending: Ending) {
        self.unread.borrow_mut().remove(&id);
        if ending != Ending::Whole {
            self.is_incomplete.set(true);
        }
    }
}

impl<R: Reader> Reading<R> {
    pub(crate) fn new(mut reader: R, owner: Owner, skips_damaged: bool) -> Self {
        let entries = Some(reader.entries());
        let numbers = Numbers::default();
        Self {
            reader,
            owner,
            skips_damaged,
            cursor: RefCell::new(Some(Cursor { entries, numbers })),
            files: RefCell::new([HashMap::new(), HashMap::new()]),
            state: Rc::default(),
        }
    }

    async fn next_batch(&self, max: usize) -> Result<Vec<Entry>> {
        let twice = || Error::Other("it was asked for two batches at once".into());
        let mut cursor = self.cursor.take().ok_or_else(twice)?;
        let batch = self.batch(&mut cursor, max).await;
        self.cursor.replace(Some(cursor));
        let (entries, files) = batch?;
        let [older, newer] = &mut *self.files.borrow_mut();
        *older = std::mem::replace(newer, files);
        Ok(entries)
    }

    async fn batch(
        &self,
        cursor: &mut Cursor<R::File>,
        max: usize,
    ) -> Result<(Vec<Entry>, Files<R::File>)> {
        let mut batch = Vec::new();
        let mut files = HashMap::new();
        while batch.len() < max
            && let Some(entries) = &mut cursor.entries
        {
            let Some(node) = entries.next().await else {
                cursor.entries = None;
                break;
            };
            let node = node?;
            let (entry, path, file) = cursor.numbers.number(node, &self.owner)?;
            if matches!(entry.kind, Kind::File(_)) {
                let file = file.map(Rc::new);
                files.insert(entry.id, Rc::new(File { path, file }));
            }
            batch.push(entry);
        }
        Ok((batch, files))
    }

    fn file(&self, id: u64) -> Result<Rc<File<R::File>>> {
        let files = self.files.borrow();
        let file = files.iter().find_map(|batch| batch.get(&id));
        file.cloned().ok_or_else(|| {
            Error::Other(format!("entry {id} is not a file of the last two batches"))
        })
    }

    async fn read_together(&self, ids: &[u64]) -> Result<Vec<SmallContents>> {
        let files = ids.iter().map(|id| self.file(*id));
        let files = files.collect::<Result<Vec<_>>>()?;
        let there: Vec<_> = files.iter().filter_map(|file| file.file.clone()).collect();
        if there.len() < files.len() || self.skips_damaged {
            return self.read_each(ids, files).await;
        }
        for (id, file) in ids.iter().zip(&files) {
            self.state.begin(*id, &file.path);
        }
        let read = self.reader.read_small(&there).await?;
        if read.len() != ids.len() {
            let text = format!(
                "{} files were asked for, and {} came",
                ids.len(),
                read.len()
            );
            return Err(Error::Other(text));
        }
        for (id, contents) in ids.iter().zip(&read) {
            self.state.end(
                *id,
                match contents {
                    SmallContents::Whole(_) => Ending::Whole,
                    SmallContents::Changed(_) => Ending::Changed,
                    SmallContents::Omitted => Ending::Omitted,
                },
            );
        }
        Ok(read)
    }

    /// The same, one after the other. An error of one file does not affect the others.
    async fn read_each(
        &self,
        ids: &[u64],
        files: Vec<Rc<File<R::File>>>,
    ) -> Result<Vec<SmallContents>> {
        let mut read = Vec::with_capacity(files.len());
        for (id, file) in ids.iter().zip(files) {
            self.state.begin(*id, &file.path);
            let contents = self.contents(&file, None).await?;
            let (bytes, ending) = contents.collect().await?;
            self.state.end(*id, ending);
            read.push(match ending {
                Ending::Whole => SmallContents::Whole(bytes),
                Ending::Changed => SmallContents::Changed(bytes),
                Ending::Omitted => SmallContents::Omitted,
            });
        }
        Ok(read)
    }

    /// The contents of a file, and a function that receives their verdict.
    async fn read_one(
        &self,
        id: u64,
        part: Option<Range>,
    ) -> Result<(Contents, impl FnOnce(&Result<Ending>) + 'static)> {
        let file = self.file(id)?;
        // A part says nothing of the file.
        if part.is_none() {
            self.state.begin(id, &file.path);
        }
        let contents = self.contents(&file, part).await?;
        let state = self.state.clone();
        let listener = move |ended: &Result<Ending>| {
            if let Ok(ending) = ended {
                state.end(id, *ending);
            }
        };
        Ok((contents, listener))
    }

    async fn contents(&self, file: &File<R::File>, part: Option<Range>) -> Result<Contents> {
        let Some(found) = &file.file else {
            leave_out(&file.path, "it has no contents");
            return Ok(Contents::omitted());
        };
        let contents = match part {
            None => self.reader.read(found).await,
            Some(part) => self.reader.read_part(found, part).await,
        };
        if !self.skips_damaged {
            return contents;
        }
        let path = file.path.clone();
        match contents {
            Ok(mut contents) => Ok(Contents::made(async move |mut output| {
                while let Some(piece) = contents.next().await {
                    output.write(piece).await?;
                }
                contents
                    .finish()
                    .await
                    .or_else(|error| skipped(&path, error))
            })),
            Err(error) => skipped(&path, error).map(|_| Contents::omitted()),
        }
    }

    async fn verdict(self) -> Result<Completeness> {
        if let Some(path) = self.state.unread.borrow().values().next() {
            let path = String::from_utf8_lossy(path);
            return Err(Error::Other(format!("{path} was not read to its end")));
        }
        let completeness = self.reader.finish().await?;
        Ok(if self.state.is_incomplete.get() {
            Completeness::Incomplete
        } else {
            completeness
        })
    }
}

/// Turns damage into an omission. Other errors stay errors.
fn skipped(path: &[u8], error: Error) -> Result<Ending> {
    match error {
        Error::Corrupt(text) | Error::NotFound(text) => {
            leave_out(path, &text);
            Ok(Ending::Omitted)
        }
        error => Err(error),
    }
}

fn leave_out(path: &[u8], why: &str) {
    let path = String::from_utf8_lossy(path);
    log(Level::Warn, &format!("{path} is left out: {why}"));
}

/// A tree that the host writes.
pub struct Writing<W>(pub(crate) W);

impl<R: Reader> transfer::GuestReader for Reading<R> {
    fn concurrency(&self, wanted: u32) -> u32 {
        self.reader.at_once(wanted)
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>> {
        self.next_batch(max as usize).await
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<SmallContents>> {
        self.read_together(&ids).await
    }

    async fn read(
        &self,
        id: u64,
        range: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending>>)> {
        let (contents, listener) = self.read_one(id, range).await?;
        Ok(contents.give(wit_stream::new, wit_future::new, listener))
    }

    async fn finish(this: transfer::Reader) -> Result<Completeness> {
        this.into_inner::<Self>().verdict().await
    }
}

impl<W: Writer> transfer::GuestWriter for Writing<W> {
    fn concurrency(&self, wanted: u32) -> u32 {
        self.0.at_once(wanted)
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>> {
        self.0.offer(entries).await
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<()> {
        self.0.put_small(files).await
    }

    async fn put(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<()> {
        self.0.put(id, Contents::given((contents, verdict))).await
    }

    async fn commit(this: transfer::Writer, completeness: Completeness) -> Result<Receipt> {
        this.into_inner::<Self>().0.commit(completeness).await
    }
}
