//! The holes of a file: zeros that are not on disk and need not be read.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

/// Bytes in which the system counts what a file takes of the disk.
const BLOCK: i64 = 512;

/// Looks for the holes of a file as it is read.
#[derive(Default)]
pub(super) struct Holes {
    /// The next range of data. A hole precedes it if it begins later.
    data: Range<u64>,
}

impl Holes {
    /// None of a file that takes as much of the disk as it has bytes.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        (stat.st_blocks.saturating_mul(BLOCK) < stat.st_size).then(Self::default)
    }

    /// How many bytes, at most so many, are a hole from this position on, or are not; and which it is. None are where the
    /// file ends.
    pub(super) fn run(&mut self, file: &File, at: u64, most: u64) -> io::Result<(u64, bool)> {
        if at >= self.data.end {
            self.data = next_data(file, at)?;
        }
        let is_hole = at < self.data.start;
        let end = if is_hole {
            self.data.start
        } else {
            self.data.end
        };
        Ok((end.saturating_sub(at).min(most), is_hole))
    }
}

/// The next bytes of a file that are no hole, from this position on; where there are no more, nothing at its end.
fn next_data(file: &File, at: u64) -> io::Result<Range<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => {
            let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
            Ok(start..end)
        }
        Err(Errno::NXIO) => {
            let end = file.metadata()?.len();
            Ok(end..end)
        }
        Err(cause) => Err(cause.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A file with data in these MiB, and holes before each and after the last.
    fn file(data: &[u64], length: u64) -> File {
        let file = tempfile::tempfile().expect("there is room");
        file.set_len(length * MIB).expect("it is a length");
        for at in data {
            let bytes = vec![7; 1 << 20];
            file.write_all_at(&bytes, at * MIB).expect("there is room");
        }
        file
    }

    /// The runs of a file, in MiB.
    fn runs(file: &File) -> Vec<(u64, bool)> {
        let stat = rustix::fs::fstat(file).expect("it is open");
        let mut holes = Holes::of(&stat).expect("it has holes");
        let mut at = 0;
        let mut runs = Vec::new();
        loop {
            match holes.run(file, at, 4 * MIB).expect("it can be looked at") {
                (0, _) => return runs,
                (length, is_hole) => {
                    at += length;
                    runs.push((length / MIB, is_hole));
                }
            }
        }
    }

    #[test]
    fn holes_are_found_before_between_and_after_data() {
        let expected = [
            (1, true),
            (1, false),
            (2, true),
            (1, false),
            (4, true),
            (1, true),
        ];
        assert_eq!(runs(&file(&[1, 4], 10)), expected);
        assert_eq!(runs(&file(&[0], 2)), [(1, false), (1, true)]);
        assert_eq!(runs(&file(&[1], 2)), [(1, true), (1, false)]);
        assert_eq!(runs(&file(&[], 3)), [(3, true)]);
    }

    #[test]
    fn a_file_that_was_cut_off_meanwhile_ends_there() {
        let file = file(&[0], 8);
        let mut holes = Holes::default();
        assert_eq!(holes.run(&file, 0, MIB).expect("it is there"), (MIB, false));
        file.set_len(MIB).expect("it is a length");
        let (length, _) = holes.run(&file, MIB, MIB).expect("it is there");
        assert_eq!(length, 0);
    }

    #[test]
    fn a_file_without_holes_is_not_looked_at() {
        let file = file(&[0, 1], 2);
        let stat = rustix::fs::fstat(&file).expect("it is open");
        assert!(Holes::of(&stat).is_none());
    }
}
