//! A repository's files as objects in the store that the operator gave the sink: another plugin, behind the host.

use futures::future::join;
use restic_repo::{Backend, Error, FileKind, Id, Instant, Listed, Result};
use wit_bindgen::{StreamReader, StreamResult};

use crate::bindings::tthost::backup::objects::{self, Existing, Object, Part};
use crate::bindings::tthost::backup::types;
use crate::bindings::{wit_future, wit_stream};
use crate::convert::repository_error;

/// Bytes that are handed to the host, and taken from it, at a time.
const PIECE: usize = 1 << 20;

/// Packs that are stored at a time.
const WRITERS: usize = 4;

/// The sink's store.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStore;

impl ObjectStore {
    /// An object, whole; none when it is not there.
    pub async fn read_object(self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.get(name, None).await {
            Err(Error::NotFound(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Stores an object in the place of any other.
    pub async fn write_object(self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.put(name, bytes, Existing::Replaced).await
    }

    /// Removes an object; fine when it is not there.
    pub async fn remove_object(self, name: &str) -> Result<()> {
        objects::remove(name.into()).await.map_err(repository_error)
    }

    /// The objects below a prefix.
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
                // Why the store takes no more, its answer says.
                if !writer.write_all(piece.to_vec()).await.is_empty() {
                    return;
                }
            }
            drop(writer);
            // Who has all of it may not ask whether it was all.
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
        // Only this tells whether those were all.
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
        // Before the sink is asked for a new repository, the host has the store make the place.
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
            // What lies elsewhere is not of the repository.
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
