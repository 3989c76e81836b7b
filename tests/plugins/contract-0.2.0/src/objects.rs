//! A store that keeps each object in a file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::exports::tthost::backup::objects::{
    Existing, Guest, Object, ObjectStat, Page, Part,
};
use crate::bindings::exports::tthost::backup::store;
use crate::bindings::tthost::backup::types::{Access, Error};
use crate::bindings::{wit_future, wit_stream};
use crate::{Component, PLACE, failed};

type Body = (StreamReader<u8>, FutureReader<Result<(), Error>>);

fn path(name: &str) -> PathBuf {
    Path::new(PLACE).join(name)
}

impl store::Guest for Component {
    async fn open(_: String, _: Access) -> Result<(), Error> {
        Ok(())
    }

    async fn create() -> Result<(), Error> {
        Ok(())
    }

    async fn close() -> Result<(), Error> {
        Ok(())
    }
}

impl Guest for Component {
    async fn put(
        name: String,
        _: u64,
        existing: Existing,
        (mut stream, verdict): Body,
    ) -> Result<(), Error> {
        let mut contents = Vec::new();
        loop {
            let (result, bytes) = stream.read(Vec::with_capacity(1 << 16)).await;
            contents.extend(bytes);
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        verdict.await?;
        let path = path(&name);
        if existing == Existing::Kept && path.exists() {
            return Err(Error::Exists(format!("{name} is there already")));
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|cause| failed(&name, &cause))?;
        }
        fs::write(path, contents).map_err(|cause| failed(&name, &cause))
    }

    async fn get(name: String, part: Option<Part>) -> Result<Body, Error> {
        let mut contents = fs::read(path(&name)).map_err(|cause| failed(&name, &cause))?;
        if let Some(Part { offset, length }) = part {
            let range = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(length).ok());
            let part = range.and_then(|(offset, length)| contents.get(offset..)?.get(..length));
            let part = part.ok_or_else(|| Error::Corrupt(format!("{name} has no such part")))?;
            contents = part.to_vec();
        }
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("it was cut off".into())));
        wit_bindgen::spawn_local(async move {
            let is_whole = pipe.write_all(contents).await.is_empty();
            drop(pipe);
            if is_whole {
                // Nobody need be listening.
                let _ = tell.write(Ok(())).await;
            }
        });
        Ok((stream, verdict))
    }

    async fn list(prefix: String, _: Option<String>) -> Result<Page, Error> {
        let mut objects = Vec::new();
        collect(&path(&prefix), &mut objects)?;
        Ok(Page {
            objects,
            next: None,
        })
    }

    async fn stat(name: String) -> Result<Option<ObjectStat>, Error> {
        match fs::metadata(path(&name)) {
            Ok(metadata) => Ok(Some(ObjectStat {
                size: metadata.len(),
                stored: None,
            })),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed(&name, &cause)),
        }
    }

    async fn remove(name: String) -> Result<(), Error> {
        match fs::remove_file(path(&name)) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed(&name, &cause)),
            _ => Ok(()),
        }
    }
}

fn collect(directory: &Path, objects: &mut Vec<Object>) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|cause| failed("a directory", &cause))?,
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, objects)?;
        } else if let (Ok(metadata), Ok(name)) = (entry.metadata(), path.strip_prefix(PLACE)) {
            objects.push(Object {
                name: name.to_string_lossy().into_owned(),
                size: metadata.len(),
            });
        }
    }
    Ok(())
}
