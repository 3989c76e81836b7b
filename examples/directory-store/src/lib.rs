//! Objects in a directory, a file for each.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::{About, Error, Result, unfinished};

tthost_plugin::configuration! {
    /// There is nothing to set.
    struct Config {}
    needs {
        writable_directory "objects": "It holds the objects.",
    }
}

/// Where the host puts the granted directory.
const ROOT: &str = "/objects";

struct Directory;

tthost_plugin::export_store!(Directory);

impl Objects for Directory {
    type Config = Config;

    const ABOUT: About = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores objects as files in a directory",
    };

    async fn open(_: Config, access: Access) -> Result<Self> {
        if access == Access::ReadWrite {
            unfinished::remove_leftovers(async |name| Self.remove(name).await).await?;
        }
        Ok(Self)
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        if existing == Existing::Kept && path(name).exists() {
            return Err(Error::Exists(format!("{name} is there already")));
        }
        unfinished::store(
            async |aside| {
                write(&path(aside), size, body).await?;
                publish(aside, name).map_err(|cause| failed(name, &cause))
            },
            async |aside| self.remove(aside).await,
        )
        .await
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        let mut file = File::open(path(name)).map_err(|cause| failed(name, &cause))?;
        let mut bytes = Vec::new();
        let read = match part {
            None => file.read_to_end(&mut bytes),
            Some(Part { offset, length }) => file
                .seek(SeekFrom::Start(offset))
                .and_then(|_| file.take(length).read_to_end(&mut bytes)),
        };
        read.map_err(|cause| failed(name, &cause))?;
        match part {
            Some(part) if (bytes.len() as u64) < part.length => {
                Err(Error::Corrupt(format!("{name} ends before that part")))
            }
            _ => Ok(Body::of(bytes)),
        }
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
        let mut objects = Vec::new();
        collect(&path(prefix), &mut objects).map_err(|cause| failed(prefix, &cause))?;
        Ok(Page::of(objects, prefix))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        match fs::metadata(path(name)) {
            Err(cause) if is_missing(&cause) => Ok(None),
            Ok(found) if found.is_dir() => Ok(None),
            found => {
                let size = found.map_err(|cause| failed(name, &cause))?.len();
                Ok(Some(ObjectStat { size, stored: None }))
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(path(name)) {
            Err(cause) if !is_missing(&cause) => Err(failed(name, &cause)),
            _ => Ok(()),
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

async fn write(path: &Path, size: u64, body: Body) -> Result<()> {
    let bytes = body.bytes(size).await?;
    let written = File::create(path).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    written.map_err(|cause| failed("an object", &cause))
}

/// Gives an object its name, for good.
fn publish(aside: &str, name: &str) -> io::Result<()> {
    let to = path(name);
    let directory = to.parent().unwrap_or(Path::new(ROOT));
    fs::create_dir_all(directory)?;
    fs::rename(path(aside), &to)?;
    File::open(directory)?.sync_all()
}

/// The objects in a directory and below; none where it is not there. What is not whole has a name that begins with a dot.
fn collect(directory: &Path, objects: &mut Vec<Object>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if is_missing(&cause) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let name = path.strip_prefix(ROOT).unwrap_or(&path);
        let name = name.to_string_lossy().into_owned();
        if metadata.is_dir() {
            collect(&path, objects)?;
        } else if !name.starts_with('.') {
            let size = metadata.len();
            objects.push(Object { name, size });
        }
    }
    Ok(())
}

/// Whether it means that there is no object. What leads to objects is a directory, and nothing is below an object.
fn is_missing(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

fn failed(name: &str, cause: &io::Error) -> Error {
    match cause.kind() {
        _ if is_missing(cause) => Error::NotFound(format!("{name} is not there")),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            Error::ReadOnly(format!("{name}: {cause}"))
        }
        ErrorKind::StorageFull => Error::NoSpace(format!("{name}: {cause}")),
        _ => Error::Other(format!("{name}: {cause}")),
    }
}
