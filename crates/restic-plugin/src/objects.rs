//! A repository in the object store of the sink, which is another plugin.

use futures::future::join;
use restic_repo::{Backend, Error, FileKind, Id, Instant, Listed, Result};
use wit_bindgen::{StreamReader, StreamResult};

use crate::bindings::tthost::backup::objects::{self, Existing, Object, Part};
use crate::bindings::tthost::backup::types;
use crate::bindings::{wit_future, wit_stream};
use crate::convert::repository_error;

/// Bytes in one read or write of a stream.
const PIECE: usize = 1 << 20;

/// Packs stored concurrently.
const WRITERS: usize = 4;

/// The sink's store.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStore;

impl ObjectStore {
    /// Reads an object. `None` if it does not exist.
    pub async fn read_object(self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.get(name, None).await {
            Err(Error::NotFound(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Stores or replaces an object.
    pub async fn write_object(self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.put(name, bytes, Existing::Replaced).await
    }

    /// Removes an object, if it exists.
    pub async fn remove_object(self, name: &str) -> Result<()> {
        objects::remove(name.into()).await.map_err(repository_error)
    }

    /// The objects with a prefix.
    pub async fn list_objects(self, prefix: &str) -> Result<Vec<Object>> {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = objects::list(prefix.into(), after).await;
            let page = page.map_err(repository_error)?;
            listed.extend(page.objects);
            after = page.next;
            if after.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn put(self, name: &str, bytes: Vec<u8>, existing: Existing) -> Result<()> {
        let (mut writer, stream) = wit_stream::new();
        let (tell, verdict) =
            wit_future::new(|| Err(types::Error::Other("it was given up".into())));
        let size = bytes.len() as u64;
        let give = async {
            for piece in bytes.chunks(PIECE) {
                // The result of `put` says why the store stopped.
                if !writer.write_all(piece.to_vec()).await.is_empty() {
                    return;
                }
            }
            drop(writer);
            // A store that has all bytes may not await the verdict.
            let _ = tell.write(Ok(())).await;
        };
        let put = objects::put(name.into(), size, existing, (stream, verdict));
        let (stored, ()) = join(put, give).await;
        stored.map_err(repository_error)
    }

    async fn get(self, name: &str, part: Option<Part>) -> Result<Vec<u8>> {
        let got = objects::get(name.into(), part).await;
        let (stream, verdict) = got.map_err(repository_error)?;
        let bytes = read_all(stream).await;
        // Only the verdict tells whether the bytes are complete.
        verdict.await.map_err(repository_error)?;
        Ok(bytes)
    }
}

async fn read_all(mut stream: StreamReader<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(PIECE);
        let (result, more) = stream.read(bytes).await;
        bytes = more;
        if !matches!(result, StreamResult::Complete(_)) {
            return bytes;
        }
    }
}

impl Backend for ObjectStore {
    fn writers(&self) -> usize {
        WRITERS
    }

    async fn create_layout(&self) -> Result<()> {
        // The host has created the store already.
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        let config = FileKind::Config;
        Ok(self.length(config, Id([0; 32])).await?.is_some())
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let Some(directory) = kind.directory() else {
            return Ok(Vec::new());
        };
        let objects = self.list_objects(directory).await?.into_iter();
        let listed = objects.filter_map(|object| {
            let id: Id = object.name.rsplit('/').next()?.parse().ok()?;
            // Other objects do not belong to the repository.
            (object.name == kind.path(id)).then_some(Listed {
                id,
                length: object.size,
            })
        });
        Ok(listed.collect())
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        self.get(&kind.path(id), None).await
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        if length == 0 {
            return Ok(Vec::new());
        }
        self.get(&kind.path(id), Some(Part { offset, length }))
            .await
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        let existing = match kind {
            FileKind::Config => Existing::Kept,
            _ => Existing::Replaced,
        };
        self.put(&kind.path(id), bytes, existing).await
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.remove_object(&kind.path(id)).await
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let stat = objects::stat(kind.path(id)).await;
        Ok(stat.map_err(repository_error)?.map(|stat| stat.size))
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        let stat = objects::stat(kind.path(id)).await;
        let stored = stat.map_err(repository_error)?.and_then(|stat| stat.stored);
        Ok(stored.map(Into::into))
    }
}
