//! Verifies that written files have the right contents.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tthost_seal::Digester;

use super::place::Place;
use crate::tree::TargetDir;

/// Bytes that are read back at a time.
const PIECE: usize = 1 << 20;

/// Files, and the digests of what they were given.
#[derive(Default)]
pub(super) struct Proofs(Vec<(Place, [u8; 32])>);

impl Proofs {
    /// Keeps in mind what a file was given.
    pub(super) fn add(&mut self, place: &Place, digest: [u8; 32]) {
        self.0.push((place.clone(), digest));
    }

    /// The first file below the root that holds something else, or cannot be read.
    pub(super) fn refute(&self, root: &TargetDir) -> Option<(PathBuf, io::Error)> {
        self.0.iter().find_map(|(place, expected)| {
            let path = place.path();
            let fault = match read_back(root, &path) {
                Ok(digest) if digest == *expected => return None,
                Ok(_) => io::Error::other("it does not contain what was written to it"),
                Err(cause) => cause,
            };
            Some((path, fault))
        })
    }
}

fn read_back(root: &TargetDir, path: &Path) -> io::Result<[u8; 32]> {
    let place = root.walk(path.parent().unwrap_or(Path::new("")))?;
    let mut file = place.open(path.file_name().unwrap_or_default())?;
    let mut digester = Digester::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digester.finish()),
            read => digester.update(&buffer[..read]),
        }
    }
}
