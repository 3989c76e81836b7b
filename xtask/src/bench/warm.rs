//! The machine's memory before a measurement. A virtual machine's pages are slow the first time that they are touched, and
//! whoever ran first would pay for it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::subject::Data;

/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

/// Touches so many bytes of memory.
pub(crate) fn memory(directory: &Path, bytes: u64) -> Result<()> {
    let mut file = tempfile::tempfile_in(directory)?;
    let piece = vec![1; PIECE];
    for _ in 0..bytes / PIECE as u64 {
        file.write_all(&piece).context("not enough memory")?;
    }
    Ok(())
}

/// Reads what is backed up once.
pub(crate) fn data(data: &Data) -> Result<()> {
    match data {
        Data::Tree(path) | Data::Beside { tree: path, .. } => tree(path),
        Data::Pipe(argv) => argv
            .iter()
            .map(Path::new)
            .filter(|path| path.is_file())
            .try_for_each(file),
        // The server has just written it.
        Data::Database(..) => Ok(()),
    }
}

fn tree(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            tree(&entry.path())?;
        } else {
            file(&entry.path())?;
        }
    }
    Ok(())
}

fn file(path: &Path) -> Result<()> {
    io::copy(&mut File::open(path)?, &mut io::sink())?;
    Ok(())
}
