//! The contract's `transfer`: writes trees to the repository, and reads them.

use futures::lock::{MappedMutexGuard, Mutex, MutexGuard};
use restic_repo::{Backend, Contents, SealedContents};
use tthost_chunker::Cutting;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

use crate::bindings::exports::tthost::backup::transfer::{
    Guest, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use crate::bindings::tthost::backup::seal::{Cutter, Opening, Staged};
use crate::bindings::tthost::backup::types::{self, Completeness, Ending, Entry, Error, Small};
use crate::bindings::{wit_future, wit_stream};
use crate::convert::repository_error;
use crate::platform::Platform;
use crate::sink::{Plugin, Storage};
use crate::{abandoned, compute};

/// The contents of a file, and their verdict.
type ContentsAndVerdict = (StreamReader<u8>, FutureReader<Result<Ending, Error>>);

impl<P: Storage> Guest for Plugin<P> {
    type Reader = SnapshotReader<P::Files>;
    type Writer = SnapshotWriter<P::Files>;
}

/// A value for one call at a time, until it is taken out.
struct CallSlot<T>(Mutex<Option<T>>);

impl<T> CallSlot<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    /// Access for a call that allows no concurrent calls.
    fn now(&self) -> Result<MappedMutexGuard<'_, Option<T>, T>, Error> {
        let value = self.0.try_lock().and_then(present);
        value.ok_or_else(|| Error::Other("it was called while another call was under way".into()))
    }

    /// Access for a call that waits for earlier calls.
    async fn wait(&self) -> Result<MappedMutexGuard<'_, Option<T>, T>, Error> {
        present(self.0.lock().await).ok_or_else(|| Error::Other("it has ended".into()))
    }

    fn take(&self) -> Option<T> {
        self.0.try_lock()?.take()
    }
}

fn present<T>(value: MutexGuard<'_, Option<T>>) -> Option<MappedMutexGuard<'_, Option<T>, T>> {
    value.is_some().then(|| {
        MutexGuard::map(value, |value| {
            value.as_mut().expect("it was seen to be there")
        })
    })
}

/// Files stored concurrently: while one is stored, the next is chunked.
const AT_ONCE: u32 = 2;

/// A snapshot that is being written.
pub struct SnapshotWriter<F: Backend + 'static> {
    writer: CallSlot<restic_repo::Writer<Platform<F>>>,
    cutting: Cutting,
}

impl<F: Backend + 'static> SnapshotWriter<F> {
    pub(crate) fn new(writer: restic_repo::Writer<Platform<F>>) -> Self {
        Self {
            cutting: writer.cutting(),
            writer: CallSlot::new(writer),
        }
    }
}

impl<F: Backend + 'static> Drop for SnapshotWriter<F> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            abandoned::defer(writer);
        }
    }
}

impl<F: Backend + 'static> GuestWriter for SnapshotWriter<F> {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted.min(AT_ONCE)
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let entries = entries.into_iter().map(Into::into).collect();
        Ok(self.writer.now()?.offer(entries).await?)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        let mut writer = self.writer.now()?;
        for file in files {
            match file.contents {
                types::Contents::Whole(contents) | types::Contents::Changed(contents) => {
                    writer.put_small(file.id, contents).await?;
                }
                types::Contents::Omitted => writer.omit(file.id)?,
            }
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        // The host chunks ahead while this call waits.
        let cutter = compute::begin_to_cut(contents, self.cutting)?;
        let mut writer = self.writer.wait().await?;
        Ok(writer.put(id, HostCutContents { cutter, verdict }).await?)
    }

    async fn commit(this: Writer, completeness: Completeness) -> Result<Receipt, Error> {
        let writer = this.into_inner::<Self>().writer.take();
        let writer = writer.ok_or_else(|| Error::Other("it has ended".into()))?;
        Ok(writer.commit(completeness.into()).await?.into())
    }
}

/// Contents that the host chunks. They do not enter the plugin.
struct HostCutContents {
    cutter: Cutter,
    verdict: FutureReader<Result<Ending, Error>>,
}

impl<F: Backend + 'static> Contents<Platform<F>> for HostCutContents {
    async fn next(&mut self) -> restic_repo::Result<Option<Staged>> {
        self.cutter.next().await.map_err(repository_error)
    }

    async fn verdict(self) -> restic_repo::Result<restic_repo::Ending> {
        let ending = self.verdict.await;
        ending.map(Into::into).map_err(repository_error)
    }
}

/// A snapshot that is being read.
pub struct SnapshotReader<F: Backend + 'static> {
    reader: CallSlot<restic_repo::Reader<Platform<F>>>,
}

impl<F: Backend + 'static> SnapshotReader<F> {
    pub(crate) fn new(reader: restic_repo::Reader<Platform<F>>) -> Self {
        Self {
            reader: CallSlot::new(reader),
        }
    }
}

impl<F: Backend + 'static> GuestReader for SnapshotReader<F> {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        let entries = self.reader.now()?.next(max as usize).await;
        Ok(entries?.into_iter().map(Into::into).collect())
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<types::Contents>, Error> {
        let contents = self.reader.now()?.read_small(&ids).await;
        let contents = contents?.into_iter();
        let contents = contents.map(|contents| match contents {
            Some(bytes) => types::Contents::Whole(bytes),
            None => types::Contents::Omitted,
        });
        Ok(contents.collect())
    }

    async fn read(&self, id: u64, range: Option<Range>) -> Result<ContentsAndVerdict, Error> {
        if let Some(range) = range {
            return self.read_range(id, range);
        }
        let contents = self.reader.now()?.read(id);
        let (tell, verdict) = wit_future::new(|| {
            Err(Error::Other(
                "the contents were not read to their end".into(),
            ))
        });
        let Some(mut contents) = contents? else {
            let (_, nothing) = wit_stream::new();
            wit_bindgen::spawn_local(async move {
                // The receiver may be gone.
                let _ = tell.write(Ok(Ending::Omitted)).await;
            });
            return Ok((nothing, verdict));
        };
        let (opening, stream) = Opening::begin(contents.key());
        wit_bindgen::spawn_local(async move {
            let opened = open_all(&mut contents, opening).await;
            let ending = contents.ending(opened);
            // The receiver may be gone.
            let _ = tell.write(ending.map(Into::into).map_err(Into::into)).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        let reader = this.into_inner::<Self>().reader.take();
        let reader = reader.ok_or_else(|| Error::Other("it has ended".into()))?;
        // A snapshot with omissions is still complete as a snapshot.
        Ok(match reader.finish()? {
            restic_repo::Completeness::Complete => Completeness::Complete,
            restic_repo::Completeness::Incomplete => Completeness::Incomplete,
        })
    }
}

impl<F: Backend + 'static> SnapshotReader<F> {
    /// A range of a file. Its bytes go through the plugin, which trims the first and the last blob.
    fn read_range(&self, id: u64, range: Range) -> Result<ContentsAndVerdict, Error> {
        let part = restic_repo::Range {
            offset: range.offset,
            length: range.length,
        };
        let (contents, skipped) = self.reader.now()?.read_range(id, part)?;
        let (bytes, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| {
            Err(Error::Other(
                "the contents were not read to their end".into(),
            ))
        });
        wit_bindgen::spawn_local(async move {
            let given = give_part(contents, skipped, range.length, bytes).await;
            let ending = given.map(|()| Ending::Whole).map_err(Into::into);
            // The receiver may be gone.
            let _ = tell.write(ending).await;
        });
        Ok((stream, verdict))
    }
}

/// Decrypts blobs, and sends a range of their contents.
async fn give_part<F: Backend + 'static>(
    mut contents: SealedContents<Platform<F>>,
    mut skipped: u64,
    mut length: u64,
    mut output: StreamWriter<u8>,
) -> restic_repo::Result<()> {
    while length > 0
        && let Some(blobs) = contents.next().await?
    {
        for mut bytes in contents.open(blobs).await? {
            let skip = usize::try_from(skipped).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            bytes.drain(..skip);
            skipped -= skip as u64;
            bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            length -= bytes.len() as u64;
            if !output.write_all(bytes).await.is_empty() {
                return Err(restic_repo::Error::Cancelled(
                    "nobody reads the contents any more".into(),
                ));
            }
        }
    }
    Ok(())
}

/// Has the host decrypt the contents into the stream of `opening`.
async fn open_all<F: Backend + 'static>(
    contents: &mut SealedContents<Platform<F>>,
    opening: Opening,
) -> restic_repo::Result<()> {
    /// Plaintext bytes after which a batch goes to the host. A few sealed bytes can be very many
    /// plaintext bytes.
    const TOGETHER: u64 = 2 << 20;
    let mut pieces = Vec::new();
    let mut bytes = 0;
    loop {
        let blobs = contents.next().await?;
        let ended = blobs.is_none();
        for blob in blobs.into_iter().flatten() {
            bytes += blob.expectation.max_length;
            pieces.push(compute::piece(blob));
            if bytes >= TOGETHER {
                bytes = 0;
                let added = opening.add(std::mem::take(&mut pieces)).await;
                added.map_err(repository_error)?;
            }
        }
        if ended && !pieces.is_empty() {
            let added = opening.add(std::mem::take(&mut pieces)).await;
            added.map_err(repository_error)?;
        }
        if ended {
            return Opening::finish(opening).await.map_err(repository_error);
        }
    }
}
