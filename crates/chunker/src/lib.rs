//! Content-defined chunking with a Rabin fingerprint, as in restic, and chunks of a fixed size, as rustic can be
//! configured. The cuts of the fingerprint are those of <https://github.com/restic/chunker>.

mod polynomial;
mod rabin;

use std::sync::Arc;

pub use polynomial::{NoPolynomial, Polynomial};
use rabin::{Tables, WINDOW};

/// The smallest chunks that a repository can ask for, in bytes.
pub const MIN_SIZE: usize = 4 << 10;

/// The largest, in bytes: several have to fit into a plugin's memory.
pub const MAX_SIZE: usize = 32 << 20;

/// How the chunks of a repository are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutting {
    /// Where the fingerprint says so.
    Rabin(Polynomial, Sizes),
    /// After so many bytes.
    Fixed(usize),
}

/// How large chunks are that a fingerprint cuts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// None is smaller, except for the last one of a file.
    pub smallest: usize,
    /// One byte of so many can be the end of a chunk; a power of two.
    pub usual: usize,
    /// None is larger.
    pub largest: usize,
}

impl Sizes {
    /// Those of restic.
    pub const RESTIC: Self = Self {
        smallest: 512 << 10,
        usual: 1 << 20,
        largest: 8 << 20,
    };
}

impl Cutting {
    /// A file that is no longer than this is one chunk.
    pub fn smallest(&self) -> usize {
        match self {
            Self::Rabin(_, sizes) => sizes.smallest,
            Self::Fixed(size) => *size,
        }
    }

    /// No chunk is larger, in bytes.
    pub fn largest(&self) -> usize {
        match self {
            Self::Rabin(_, sizes) => sizes.largest,
            Self::Fixed(size) => *size,
        }
    }

    /// Whether chunks can be cut like this.
    pub fn is_possible(&self) -> bool {
        let is_size = |size: usize| (MIN_SIZE..=MAX_SIZE).contains(&size);
        match self {
            Self::Rabin(_, sizes) => {
                let Sizes {
                    smallest,
                    usual,
                    largest,
                } = *sizes;
                [smallest, usual, largest].into_iter().all(is_size)
                    && usual.is_power_of_two()
                    && smallest <= largest
            }
            Self::Fixed(size) => is_size(*size),
        }
    }
}

/// Cuts a stream of bytes into chunks.
pub struct Chunker {
    cutting: Cutting,
    /// None where chunks end after so many bytes.
    tables: Option<Arc<Tables>>,
    buffer: Vec<u8>,
    /// Where the next chunk begins in the buffer.
    start: usize,
    /// There is no boundary before this position of the next chunk.
    position: usize,
}

impl Chunker {
    /// A chunker that cuts like this.
    pub fn new(cutting: Cutting) -> Self {
        let tables = match cutting {
            Cutting::Rabin(polynomial, sizes) => Some(Tables::shared(polynomial, sizes.usual)),
            Cutting::Fixed(_) => None,
        };
        Self {
            cutting,
            tables,
            buffer: Vec::new(),
            start: 0,
            position: cutting.smallest(),
        }
    }

    /// How it cuts.
    pub fn cutting(&self) -> Cutting {
        self.cutting
    }

    /// Where the next bytes of the stream are to be appended, and nothing else done. To append many costs no more than a few.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.start);
        self.start = 0;
        &mut self.buffer
    }

    /// The next chunk, if its end has been seen.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let length = self.find_end(false)?;
        Some(self.cut(length))
    }

    /// The next chunk of a stream that has ended; none when nothing is left. After that the
    /// chunker is as new.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let left = self.buffer.len() - self.start;
        let length = self.find_end(true).unwrap_or(left);
        (length > 0).then(|| self.cut(length))
    }

    fn find_end(&mut self, ended: bool) -> Option<usize> {
        let largest = self.cutting.largest();
        let rest = &self.buffer[self.start..];
        let visible = &rest[..rest.len().min(largest)];
        let full = visible.len() == largest;
        let found = match &self.tables {
            Some(tables) => tables.find(visible, &mut self.position, full || ended),
            None => None,
        };
        found.or(full.then_some(largest))
    }

    fn cut(&mut self, length: usize) -> Vec<u8> {
        let chunk = self.buffer[self.start..][..length].to_vec();
        self.start += length;
        self.position = self.cutting.smallest();
        chunk
    }
}

const _: () = assert!(
    MIN_SIZE > WINDOW,
    "there is a window before the first possible boundary"
);

#[cfg(test)]
mod tests {
    use super::*;

    const MIN_SIZE: usize = Sizes::RESTIC.smallest;
    const MAX_SIZE: usize = Sizes::RESTIC.largest;

    fn cutting() -> Cutting {
        Cutting::Rabin(polynomial(), Sizes::RESTIC)
    }

    fn polynomial() -> Polynomial {
        "3da3358b4dc173"
            .parse()
            .expect("it is the one of the reference's own tests")
    }

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    fn lengths(bytes: &[u8], piece: impl Fn(usize) -> usize) -> Vec<usize> {
        lengths_of(cutting(), bytes, piece)
    }

    fn lengths_of(cutting: Cutting, bytes: &[u8], piece: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut chunker = Chunker::new(cutting);
        let mut lengths = Vec::new();
        let mut rest = bytes;
        let mut whole = Vec::new();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece(lengths.len()).min(rest.len()));
            chunker.buffer().extend_from_slice(now);
            rest = later;
            while let Some(chunk) = chunker.next_chunk() {
                lengths.push(chunk.len());
                whole.extend(chunk);
            }
        }
        while let Some(chunk) = chunker.finish() {
            lengths.push(chunk.len());
            whole.extend(chunk);
        }
        assert!(whole == bytes, "the chunks together are the stream");
        lengths
    }

    /// What restic's chunker does, byte by byte, without lanes and tables.
    fn plain(bytes: &[u8]) -> Vec<usize> {
        let modulus = polynomial().bits();
        let fingerprint = |window: &[u8]| {
            window.iter().fold(0, |hash, byte| {
                polynomial::remainder((hash << 8) | u64::from(*byte), modulus)
            })
        };
        // Every 8192nd possible boundary is enough to tell apart; all candidates come from here.
        let mut lengths = Vec::new();
        let mut start = 0;
        let mut position = 0;
        let tables = Tables::shared(polynomial(), Sizes::RESTIC.usual);
        while position < bytes.len() {
            position += 1;
            let length = position - start;
            if length < MIN_SIZE {
                continue;
            }
            let window = &bytes[position - WINDOW..position];
            let hit = tables.find(window, &mut WINDOW.clone(), true).is_some();
            if hit {
                assert_eq!(
                    fingerprint(&bytes[position - WINDOW..position]) & 0xf_ffff,
                    0
                );
            }
            if hit || length == MAX_SIZE {
                lengths.push(length);
                start = position;
            }
        }
        if start < bytes.len() {
            lengths.push(bytes.len() - start);
        }
        lengths
    }

    #[test]
    fn the_cuts_do_not_depend_on_how_the_bytes_come() {
        let bytes = noise(24 << 20, 23);
        let expected = plain(&bytes);
        assert!(expected.len() > 8, "{expected:?}");
        for piece in [1 << 20, 256 << 10, 65_537, 4093] {
            assert_eq!(lengths(&bytes, |_| piece), expected, "pieces of {piece}");
        }
        assert_eq!(lengths(&bytes, |_| bytes.len()), expected);
        assert_eq!(lengths(&bytes, |chunks| 1 + chunks * 100_003), expected);
    }

    /// As in the reference's own tests: zeros hash to zero, so every chunk is the smallest.
    #[test]
    fn zeros_are_cut_as_soon_as_possible() {
        assert_eq!(lengths(&vec![0; 4 * MIN_SIZE], |_| 100_000), [MIN_SIZE; 4]);
        assert_eq!(lengths(&vec![0; MIN_SIZE + 1], |_| 100_000), [MIN_SIZE, 1]);
    }

    #[test]
    fn a_stream_without_boundaries_is_cut_at_the_largest_size() {
        // A window of equal bytes other than zero has always the same fingerprint.
        assert_eq!(
            lengths(&vec![1; 2 * MAX_SIZE + 5], |_| 1 << 20),
            [MAX_SIZE, MAX_SIZE, 5]
        );
    }

    #[test]
    fn chunks_of_one_size_end_after_so_many_bytes() {
        let cutting = Cutting::Fixed(100_000);
        for piece in [1 << 20, 65_537, 100_000] {
            let found = lengths_of(cutting, &noise(250_001, 3), |_| piece);
            assert_eq!(found, [100_000, 100_000, 50_001], "pieces of {piece}");
        }
    }

    #[test]
    fn other_sizes_give_chunks_within_them() {
        let sizes = Sizes {
            smallest: 64 << 10,
            usual: 128 << 10,
            largest: 256 << 10,
        };
        let bytes = noise(8 << 20, 5);
        let mut found = lengths_of(Cutting::Rabin(polynomial(), sizes), &bytes, |_| 99_991);
        found.pop();
        let within = |length: &usize| (sizes.smallest..=sizes.largest).contains(length);
        assert!(found.len() > 20 && found.iter().all(within), "{found:?}");
    }

    #[test]
    fn nothing_has_no_chunk() {
        assert_eq!(Chunker::new(cutting()).finish(), None);
    }
}
