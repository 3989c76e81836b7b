//! Directories as values.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The contents of all regular files below a directory, by their paths in it.
pub fn read_tree(directory: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for path in paths(directory)? {
        let contents =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.insert(path.strip_prefix(directory)?.to_owned(), contents);
    }
    Ok(files)
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, contents: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    Ok(file.write_all(contents.as_bytes())?)
}

/// The bytes of all regular files below a directory.
pub fn size(directory: &Path) -> Result<u64> {
    let sizes = paths(directory)?
        .into_iter()
        .map(|path| Ok(path.metadata()?.len()));
    sizes.sum()
}

fn paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
