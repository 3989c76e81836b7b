//! The files of a plugin's store: compares, restores and damages them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// All that is in a directory: the bytes of files, and none of directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Files {
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        collect(directory, Path::new(""), &mut files)?;
        Ok(Self(files))
    }

    /// The regular files with contents.
    pub(crate) fn names(&self) -> Vec<&Path> {
        let files = self.0.iter();
        files
            .filter(|(_, bytes)| bytes.as_ref().is_some_and(|bytes| !bytes.is_empty()))
            .map(|(path, _)| path.as_path())
            .collect()
    }

    /// The sum of all sizes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.values().flatten().map(Vec::len).sum()
    }

    /// Whether these bytes are in one of them, and in which.
    pub(crate) fn holds(&self, needle: &[u8]) -> Option<&Path> {
        let holds = |bytes: &Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle);
        let found = self
            .0
            .iter()
            .find(|(_, bytes)| bytes.as_ref().is_some_and(holds));
        found.map(|(path, _)| path.as_path())
    }

    /// The first thing that is not the same in the other, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        for (path, bytes) in &self.0 {
            match other.0.get(path) {
                None => return Some(format!("{} is gone", path.display())),
                Some(now) if now != bytes => return Some(format!("{} changed", path.display())),
                Some(_) => {}
            }
        }
        let new = other.0.keys().find(|path| !self.0.contains_key(*path));
        new.map(|path| format!("{} is new", path.display()))
    }

    /// Makes a directory like this again.
    pub(crate) fn restore(&self, directory: &Path) -> io::Result<()> {
        let now = Self::of(directory)?;
        for (path, bytes) in now.0.iter().rev() {
            if self.0.contains_key(path) {
                continue;
            }
            match bytes {
                Some(_) => fs::remove_file(directory.join(path))?,
                None => fs::remove_dir(directory.join(path))?,
            }
        }
        for (path, bytes) in &self.0 {
            let path = directory.join(path);
            match bytes {
                None => fs::create_dir_all(path)?,
                Some(bytes) => write(&path, bytes)?,
            }
        }
        Ok(())
    }

    /// Flips a bit in the middle of a file.
    pub(crate) fn flip(&self, directory: &Path, path: &Path) -> io::Result<()> {
        let mut bytes = self.0.get(path).cloned().flatten().unwrap_or_default();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x10;
        }
        write(&directory.join(path), &bytes)
    }
}

/// Writes a file anew, whatever its permissions are.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(path, bytes)
}

fn collect(
    top: &Path,
    below: &Path,
    files: &mut BTreeMap<PathBuf, Option<Vec<u8>>>,
) -> io::Result<()> {
    let entries = match fs::read_dir(top.join(below)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.insert(path.clone(), None);
            collect(top, &path, files)?;
        } else {
            files.insert(path, Some(fs::read(entry.path())?));
        }
    }
    Ok(())
}
