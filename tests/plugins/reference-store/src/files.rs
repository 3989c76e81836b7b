//! The files that hold the objects.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tthost_plugin::store::Object;
use tthost_plugin::{Error, Result};

/// The granted directory.
const ROOT: &str = "/objects";

/// The file of this name.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

pub(crate) fn is_directory(name: &str) -> bool {
    path(name).is_dir()
}

pub(crate) fn size(name: &str) -> Result<u64> {
    let metadata = fs::metadata(path(name));
    Ok(metadata.map_err(|cause| failed(name, &cause))?.len())
}

/// A new file in the place of another.
pub(crate) fn create(name: &str) -> Result<File> {
    if let Some(parent) = path(name).parent() {
        fs::create_dir_all(parent).map_err(|cause| failed(name, &cause))?;
    }
    File::create(path(name)).map_err(|cause| failed(name, &cause))
}

pub(crate) fn append(file: &mut File, name: &str, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).map_err(|cause| failed(name, &cause))
}

pub(crate) fn write(name: &str, bytes: &[u8]) -> Result<()> {
    append(&mut create(name)?, name, bytes)
}

/// Lets a file take the place of another in one step.
pub(crate) fn rename(from: &str, to: &str) -> Result<()> {
    if let Some(parent) = path(to).parent() {
        fs::create_dir_all(parent).map_err(|cause| failed(to, &cause))?;
    }
    fs::rename(path(from), path(to)).map_err(|cause| failed(to, &cause))
}

/// Writes a file over another, whose end stays where it is longer.
pub(crate) fn overlay(from: &str, to: &str) -> Result<()> {
    let bytes = fs::read(path(from)).map_err(|cause| failed(from, &cause))?;
    let mut file = File::options().write(true).open(path(to));
    let file = file.as_mut().map_err(|cause| failed(to, cause))?;
    append(file, to, &bytes)
}

/// Removes a file. Fine when it is not there.
pub(crate) fn remove(name: &str) -> Result<()> {
    match fs::remove_file(path(name)) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed(name, &cause)),
        _ => Ok(()),
    }
}

/// All objects.
pub(crate) fn all() -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    collect(Path::new(ROOT), &mut objects)?;
    objects.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(objects)
}

fn collect(directory: &Path, objects: &mut Vec<Object>) -> Result<()> {
    let entries = fs::read_dir(directory).map_err(|cause| failed("a directory", &cause))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            // What is not whole yet, and what is not a object.
            continue;
        }
        if path.is_dir() {
            collect(&path, objects)?;
        } else if let (Ok(metadata), Ok(name)) = (entry.metadata(), path.strip_prefix(ROOT)) {
            objects.push(Object {
                name: name.to_string_lossy().into_owned(),
                size: metadata.len(),
            });
        }
    }
    Ok(())
}

pub(crate) fn failed(name: &str, cause: &std::io::Error) -> Error {
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Error::NotFound(format!("{name} is not there"))
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            Error::ReadOnly(format!("{name} cannot be changed: {cause}"))
        }
        _ => Error::Other(format!("{name}: {cause}")),
    }
}
