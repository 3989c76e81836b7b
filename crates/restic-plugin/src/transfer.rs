//! The contract's `transfer`: trees into the repository and out of it.

use std::cell::RefCell;

use restic_repo::{Backend, Contents, Error as RepoError, SealedContents};
use tthost_chunker::Cutting;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

use crate::bindings::exports::tthost::backup::transfer::{
    Guest, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::seal::{Cutter, Opening, Staged};
use crate::bindings::tthost::backup::types::{self, Completeness, Ending, Entry, Error, Small};
use crate::bindings::{wit_future, wit_stream};
use crate::convert::repository_error;
use crate::platform::Platform;
use crate::sink::{Plugin, Storage};
use crate::{abandoned, compute};

/// The contents of a file, and their verdict.
type Given = (StreamReader<u8>, FutureReader<Result<Ending, Error>>);

impl<P: Storage> Guest for Plugin<P> {
    type Reader = SnapshotReader<P::Files>;
    type Writer = SnapshotWriter<P::Files>;
}

/// A value that one call at a time uses.
struct Turn<T>(RefCell<Option<T>>);

impl<T> Turn<T> {
    fn new(value: T) -> Self {
        Self(RefCell::new(Some(value)))
    }

    fn take(&self) -> Result<T, Error> {
        self.0
            .take()
            .ok_or_else(|| Error::Other("it was called while another call was under way".into()))
    }

    fn put_back(&self, value: T) {
        self.0.replace(Some(value));
    }
}

/// A snapshot that is being written.
pub struct SnapshotWriter<F: Backend + 'static> {
    writer: Turn<restic_repo::Writer<Platform<F>>>,
}

impl<F: Backend + 'static> SnapshotWriter<F> {
    pub(crate) fn new(writer: restic_repo::Writer<Platform<F>>) -> Self {
        Self {
            writer: Turn::new(writer),
        }
    }
}

impl<F: Backend + 'static> Drop for SnapshotWriter<F> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.0.take() {
            abandoned::leave(writer);
        }
    }
}

impl<F: Backend + 'static> GuestWriter for SnapshotWriter<F> {
    fn concurrency(&self, _: u32) -> u32 {
        // Cutting takes the guest's one core; sealing goes on in the host meanwhile.
        1
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let mut writer = self.writer.take()?;
        let needed = writer
            .offer(entries.into_iter().map(Into::into).collect())
            .await;
        self.writer.put_back(writer);
        Ok(needed?)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        let mut writer = self.writer.take()?;
        let mut stored = Ok(());
        for file in files {
            stored = match file.contents {
                types::Contents::Whole(contents) | types::Contents::Changed(contents) => {
                    writer.put_small(file.id, contents).await
                }
                types::Contents::Omitted => writer.omit(file.id),
            };
            if stored.is_err() {
                break;
            }
        }
        self.writer.put_back(writer);
        Ok(stored?)
    }

    async fn put(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        let mut writer = self.writer.take()?;
        let contents = FromHost {
            contents: Some(contents),
            cutter: None,
            verdict,
        };
        let stored = writer.put(id, contents).await;
        self.writer.put_back(writer);
        Ok(stored?)
    }

    async fn commit(this: Writer, completeness: Completeness) -> Result<Receipt, Error> {
        let writer = this.into_inner::<Self>().writer.take()?;
        Ok(writer.commit(completeness.into()).await?.into())
    }
}

/// Contents as the host gives them.
struct FromHost {
    /// None when the host has them to cut.
    contents: Option<StreamReader<u8>>,
    /// The host cuts them, and they do not enter the plugin.
    cutter: Option<Cutter>,
    verdict: FutureReader<Result<Ending, Error>>,
}

impl<F: Backend + 'static> Contents<Platform<F>> for FromHost {
    async fn next(&mut self, cutting: Cutting) -> restic_repo::Result<Option<Staged>> {
        if let Some(contents) = self.contents.take() {
            self.cutter = Some(compute::begin_to_cut(contents, cutting)?);
        }
        match &self.cutter {
            Some(cutter) => cutter.next().await.map_err(repository_error),
            None => Ok(None),
        }
    }

    async fn verdict(self) -> restic_repo::Result<restic_repo::Ending> {
        let ending = self.verdict.await;
        ending.map(Into::into).map_err(repository_error)
    }
}

/// A snapshot that is being read.
pub struct SnapshotReader<F: Backend + 'static> {
    reader: Turn<restic_repo::Reader<Platform<F>>>,
}

impl<F: Backend + 'static> SnapshotReader<F> {
    pub(crate) fn new(reader: restic_repo::Reader<Platform<F>>) -> Self {
        Self {
            reader: Turn::new(reader),
        }
    }
}

impl<F: Backend + 'static> GuestReader for SnapshotReader<F> {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        let mut reader = self.reader.take()?;
        let entries = reader.next(max as usize).await;
        self.reader.put_back(reader);
        Ok(entries?.into_iter().map(Into::into).collect())
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<types::Contents>, Error> {
        let mut reader = self.reader.take()?;
        let contents = reader.read_small(&ids).await;
        self.reader.put_back(reader);
        let contents = contents?.into_iter();
        let contents = contents.map(|contents| match contents {
            Some(bytes) => types::Contents::Whole(bytes),
            None => types::Contents::Omitted,
        });
        Ok(contents.collect())
    }

    async fn read(&self, id: u64, range: Option<Range>) -> Result<Given, Error> {
        if let Some(range) = range {
            return self.read_range(id, range);
        }
        let mut reader = self.reader.take()?;
        let contents = reader.read(id);
        let skips_damaged = reader.skips_damaged();
        self.reader.put_back(reader);
        let (tell, verdict) = wit_future::new(|| {
            Err(Error::Other(
                "the contents were not read to their end".into(),
            ))
        });
        let Some(contents) = contents? else {
            let (_, nothing) = wit_stream::new();
            wit_bindgen::spawn_local(async move {
                // Nobody need be listening.
                let _ = tell.write(Ok(Ending::Omitted)).await;
            });
            return Ok((nothing, verdict));
        };
        let (opening, stream) = Opening::begin(contents.key());
        wit_bindgen::spawn_local(async move {
            let path = contents.path().to_owned();
            let ending = match open_all(contents, opening).await {
                Ok(()) => Ok(Ending::Whole),
                Err(error @ (RepoError::Corrupt(_) | RepoError::NotFound(_))) => {
                    let text = format!("{path}: {error}");
                    if skips_damaged {
                        log(Level::Warn, &format!("{text}: left out"));
                        Ok(Ending::Omitted)
                    } else {
                        Err(Error::Corrupt(text))
                    }
                }
                Err(error) => Err(error.into()),
            };
            // Nobody need be listening.
            let _ = tell.write(ending).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        let reader = this.into_inner::<Self>().reader.take()?;
        // A snapshot that lacks something is still whole as a snapshot.
        Ok(match reader.finish()? {
            restic_repo::Completeness::Complete => Completeness::Complete,
            restic_repo::Completeness::Incomplete => Completeness::Incomplete,
        })
    }
}

impl<F: Backend + 'static> SnapshotReader<F> {
    /// A part of a file. Its bytes go through the plugin, which cuts off what lies around it.
    fn read_range(&self, id: u64, range: Range) -> Result<Given, Error> {
        let part = restic_repo::Range {
            offset: range.offset,
            length: range.length,
        };
        let reader = self.reader.take()?;
        let found = reader.read_range(id, part);
        self.reader.put_back(reader);
        let (contents, skipped) = found?;
        let (bytes, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| {
            Err(Error::Other(
                "the contents were not read to their end".into(),
            ))
        });
        wit_bindgen::spawn_local(async move {
            let given = give_part(contents, skipped, range.length, bytes).await;
            let ending = given.map(|()| Ending::Whole).map_err(Into::into);
            // Nobody need be listening.
            let _ = tell.write(ending).await;
        });
        Ok((stream, verdict))
    }
}

/// Opens blobs and gives so many bytes of what they hold, without the first ones.
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

/// Lets the host open the contents into the stream that goes with `opening`.
async fn open_all<F: Backend + 'static>(
    mut contents: SealedContents<Platform<F>>,
    opening: Opening,
) -> restic_repo::Result<()> {
    /// Bytes after which the host is given what there is. What counts is what they are when they
    /// are open: a few that are sealed can be very many.
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
