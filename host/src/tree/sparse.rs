//! Files with holes where their contents are zeros.

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
        for block in bytes.chunks(BLOCK) {
            self.is_short = block.iter().all(|byte| *byte == 0);
            if !self.is_short {
                self.file.write_all_at(block, self.length)?;
            }
            self.length += block.len() as u64;
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
