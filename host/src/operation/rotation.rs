//! Checks that read another part of a repository each time.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::contract::Subset;
use crate::error::{Error, Kind, Result};
use crate::own_file;

/// Checks of which so many in a row read everything. What one has read is remembered in a file for
/// each store.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// How many checks read everything.
    pub runs: NonZeroU32,
    /// The directory of the files; made where it is missing.
    pub directory: PathBuf,
}

/// The recorded progress of a rotating check.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Where the next check begins.
    next: u32,
}

impl Rotation {
    /// The part that follows on what was read of this store.
    pub(super) fn next(&self, store: &str) -> Result<Subset> {
        let path = self.file(store);
        let progress = match own_file::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|cause| {
                let error = failed("is damaged", &path).caused_by(cause);
                error.help("remove it; the rotation begins anew then")
            })?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Progress::default(),
            Err(cause) => return Err(failed("cannot be read", &path).caused_by(cause)),
        };
        let places = Subset::PLACES.div_ceil(u64::from(self.runs.get()));
        Ok(Subset::from(progress.next, places))
    }

    /// Remembers that this was read.
    pub(super) fn advance(&self, store: &str, subset: Subset) -> Result<()> {
        let path = self.file(store);
        let progress = Progress {
            next: subset.last.wrapping_add(1),
        };
        let text = serde_json::to_vec(&progress).expect("numbers are JSON");
        self.write(&path, &text)
            .map_err(|cause| failed("cannot be written", &path).caused_by(cause))
    }

    /// Writes a file that is the old or the new one, whatever happens.
    fn write(&self, path: &Path, text: &[u8]) -> std::io::Result<()> {
        let mut directory = fs::DirBuilder::new();
        directory.recursive(true).mode(0o700);
        directory.create(&self.directory)?;
        own_file::replace(path, text)
    }

    /// The file of a store, whose id can be any text.
    fn file(&self, store: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(store));
        self.directory.join(name).with_extension("json")
    }
}

fn failed(what: &str, path: &Path) -> Error {
    let text = format!("the progress of the rotation, {}, {what}", path.display());
    Error::new(Kind::Other, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(runs: u32, directory: &Path) -> Rotation {
        Rotation {
            runs: NonZeroU32::new(runs).expect("it is not 0"),
            directory: directory.join("rotation"),
        }
    }

    #[test]
    fn so_many_runs_read_everything_and_go_on_from_there() {
        let directory = tempfile::tempdir().expect("there is room");
        let rotation = rotation(7, directory.path());
        let mut read = 0;
        for run in 0..7 {
            let subset = rotation.next("../store").expect("it is a part");
            assert_eq!(u64::from(subset.first), read % Subset::PLACES, "{run}");
            read += u64::from(subset.last.wrapping_sub(subset.first)) + 1;
            rotation.advance("../store", subset).expect("it is kept");
        }
        assert!((Subset::PLACES..Subset::PLACES + 7).contains(&read));
        let other = rotation.next("another store").expect("it is a part");
        assert_eq!(other.first, 0);
    }

    #[test]
    fn a_check_that_did_not_end_counts_for_nothing() {
        let directory = tempfile::tempdir().expect("there is room");
        let rotation = rotation(2, directory.path());
        let first = rotation.next("store").expect("it is a part");
        assert_eq!(rotation.next("store").expect("it is a part"), first);
    }

    #[test]
    fn a_damaged_file_is_told() {
        let directory = tempfile::tempdir().expect("there is room");
        let rotation = rotation(2, directory.path());
        let subset = rotation.next("store").expect("it is a part");
        rotation.advance("store", subset).expect("it is kept");
        let file = rotation.file("store");
        fs::write(&file, "{}").expect("it can be written");
        let error = rotation.next("store").expect_err("it is damaged");
        assert!(error.message().contains("is damaged"), "{error}");
    }
}
