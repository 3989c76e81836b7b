//! A temporary copy of the history, for reading it on a read-only file system.
//!
//! `SQLite` cannot open the original there, because it needs to create other files next to it.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::database::{self, FILE};
use crate::error::Result;
use crate::own_file;

/// How often the files are copied that somebody writes to meanwhile.
const ATTEMPTS: u32 = 5;

/// A copy of the history in a directory that goes with it.
pub(super) fn open(state: &Path) -> Result<(Connection, TempDir)> {
    let failed = |cause: io::Error| {
        let error = database::unusable(&state.join(FILE)).caused_by(cause);
        error.help("a copy of it is read where nothing can be written beside it: name a directory with room in TMPDIR")
    };
    let directory = tempfile::Builder::new().prefix("tthost-history.").tempdir();
    let directory = directory.map_err(failed)?;
    copy(state, directory.path()).map_err(failed)?;
    let connection = database::connect(&directory.path().join(FILE))
        .map_err(|cause| database::unusable(&state.join(FILE)).caused_by(cause))?;
    Ok((connection, directory))
}

fn copy(state: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let before = looks(state)?;
        for name in files() {
            match own_file::read(&state.join(&name)) {
                Ok(bytes) => own_file::replace(&to.join(&name), &bytes)?,
                Err(cause) if cause.kind() == ErrorKind::NotFound && name != Path::new(FILE) => {}
                Err(cause) => return Err(cause),
            }
        }
        if looks(state)? == before {
            return Ok(());
        }
        for name in files() {
            match fs::remove_file(to.join(name)) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
    }
    Err(io::Error::new(
        ErrorKind::ResourceBusy,
        "somebody writes to it all the time",
    ))
}

/// The file, and what is not in it yet.
fn files() -> [PathBuf; 2] {
    ["", "-wal"].map(|of_it| format!("{FILE}{of_it}").into())
}

/// What is different when somebody has written to the files.
fn looks(state: &Path) -> io::Result<Vec<Option<(u64, i64, i64)>>> {
    let look = |metadata: Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    let looked = files().map(|name| match fs::metadata(state.join(name)) {
        Ok(metadata) => Ok(Some(look(metadata))),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    });
    looked.into_iter().collect()
}
