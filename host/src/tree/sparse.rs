//! Writes files with holes where their contents are zeros.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Zeros are left out in blocks of this many bytes, so that holes are worth their bookkeeping.
const BLOCK: usize = 64 << 10;

/// A new file that is written from its beginning to its end.
#[derive(Debug)]
pub(crate) struct SparseFile {
    file: File,
    length: u64,
    /// It ends in a hole.
    is_short: bool,
}

impl SparseFile {
    /// Writes into this file, which is empty.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            length: 0,
            is_short: false,
        }
    }

    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_hole = |block: &[u8]| block.iter().all(|byte| *byte == 0);
        let mut rest = bytes;
        while !rest.is_empty() {
            // What lies side by side and is alike goes together.
            let is_short = is_hole(&rest[..rest.len().min(BLOCK)]);
            let alike = rest
                .chunks(BLOCK)
                .take_while(|block| is_hole(block) == is_short);
            let (now, later) = rest.split_at(alike.map(<[u8]>::len).sum());
            if !is_short {
                self.file.write_all_at(now, self.length)?;
            }
            self.is_short = is_short;
            self.length += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// The file, with all its length.
    pub(crate) fn finish(self) -> io::Result<File> {
        if self.is_short {
            self.file.set_len(self.length)?;
        }
        Ok(self.file)
    }
}
