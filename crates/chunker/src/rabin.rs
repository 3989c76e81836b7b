//! Rabin fingerprints of a sliding window, four segments at a time.
//!
//! A fingerprint depends on the window's 64 bytes alone, so that segments of a buffer can be
//! hashed independently of each other. One lane waits for its table look-ups most of the
//! time; four interleaved ones do not.

use std::sync::{Arc, Mutex, PoisonError};

use super::polynomial::{Polynomial, remainder};

/// Bytes that a fingerprint is of.
pub(super) const WINDOW: usize = 64;

/// Segments that are hashed at a time.
const LANES: usize = 4;

/// Bytes of a segment.
const SEGMENT: usize = 8 * 1024;

/// The segments, and the window before the first.
const BLOCK: usize = WINDOW + LANES * SEGMENT;

/// Bytes that a lane hashes in one round of the loop, so that the loop itself costs little.
const ROUND: usize = 8;

/// The tables of a polynomial, by byte.
pub(super) struct Tables {
    /// The share of a byte that leaves the window in the next fingerprint.
    out: [u64; 256],
    /// The reduction of a fingerprint after a byte was appended, by its highest 8 bits.
    reduce: [u64; 256],
    shift: u32,
    /// A boundary is where these bits of the fingerprint are zero.
    mask: u64,
}

/// The last tables. Usually the next file needs them again.
static LATEST: Mutex<Option<(Polynomial, usize, Arc<Tables>)>> = Mutex::new(None);

impl Tables {
    /// The same as [`new`](Self::new), and perhaps those that were made before.
    pub(super) fn shared(polynomial: Polynomial, distance: usize) -> Arc<Self> {
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, at, tables)) = &*latest
            && (*of, *at) == (polynomial, distance)
        {
            return tables.clone();
        }
        let tables = Arc::new(Self::new(polynomial, distance));
        *latest = Some((polynomial, distance, tables.clone()));
        tables
    }

    /// With a boundary at one position of so many, which is a power of two.
    fn new(polynomial: Polynomial, distance: usize) -> Self {
        let polynomial = polynomial.bits();
        let degree = polynomial.ilog2();
        let out = std::array::from_fn(|byte| {
            (0..WINDOW).fold(byte as u64, |hash, _| remainder(hash << 8, polynomial))
        });
        let reduce = std::array::from_fn(|byte| {
            let high = (byte as u64) << degree;
            remainder(high, polynomial) | high
        });
        Self {
            out,
            reduce,
            shift: degree - 8,
            mask: distance as u64 - 1,
        }
    }

    /// The first position from `position` on, not after the end of the bytes, whose preceding
    /// window has a fingerprint of a boundary. When there is none, `position` moves on to what
    /// has not been looked at: to behind the end, or, unless it shall be looked at as well, to
    /// where less than a block is left. There must be a window before `position`.
    pub(super) fn find(
        &self,
        bytes: &[u8],
        position: &mut usize,
        to_the_end: bool,
    ) -> Option<usize> {
        while let Some(block) = bytes.get(*position - WINDOW..)?.first_chunk() {
            if self.is_cut(block) {
                return self.find_in_one(bytes, *position);
            }
            *position += LANES * SEGMENT;
        }
        if !to_the_end || *position > bytes.len() {
            return None;
        }
        let found = self.find_in_one(bytes, *position);
        *position = bytes.len() + 1;
        found
    }

    fn find_in_one(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut hash = self.fingerprint(&bytes[from - WINDOW..from]);
        if hash & self.mask == 0 {
            return Some(from);
        }
        let leaving = &bytes[from - WINDOW..];
        for (index, (new, old)) in bytes[from..].iter().zip(leaving).enumerate() {
            hash = self.slide(hash, *new, *old);
            if hash & self.mask == 0 {
                return Some(from + index + 1);
            }
        }
        None
    }

    /// Whether there is a boundary behind the block's window or behind any byte after it.
    fn is_cut(&self, block: &[u8; BLOCK]) -> bool {
        let mut hashes: [u64; LANES] = std::array::from_fn(|lane| {
            self.fingerprint(&block[lane * SEGMENT..lane * SEGMENT + WINDOW])
        });
        let boundary = |hashes: &[u64; LANES]| hashes.iter().any(|hash| hash & self.mask == 0);
        if boundary(&hashes) {
            return true;
        }
        for round in (0..SEGMENT).step_by(ROUND) {
            for index in round..round + ROUND {
                for (lane, hash) in hashes.iter_mut().enumerate() {
                    let leaving = lane * SEGMENT + index;
                    *hash = self.slide(*hash, block[leaving + WINDOW], block[leaving]);
                }
                if boundary(&hashes) {
                    return true;
                }
            }
        }
        false
    }

    fn fingerprint(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash, byte| self.append(hash, *byte))
    }

    fn slide(&self, hash: u64, new: u8, old: u8) -> u64 {
        self.append(hash, new) ^ self.out[usize::from(old)]
    }

    fn append(&self, hash: u64, byte: u8) -> u64 {
        // A fingerprint has fewer bits than the polynomial's degree, so 8 are left here.
        #[expect(clippy::cast_possible_truncation, reason = "at most 8 bits are left")]
        let high = (hash >> self.shift) as u8;
        ((hash << 8) | u64::from(byte)) ^ self.reduce[usize::from(high)]
    }
}
