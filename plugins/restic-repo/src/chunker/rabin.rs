//! Rabin fingerprints of a sliding window, four segments at a time.
//!
//! A fingerprint depends on the window's 64 bytes alone, so that segments of a buffer can be
//! hashed independently of each other. One lane waits for its table look-ups most of the
//! time; four interleaved ones do not.

use super::polynomial::{Polynomial, remainder};

/// Bytes that a fingerprint is of.
pub(super) const WINDOW: usize = 64;

/// Bytes that a lane hashes before the lanes are compared.
const SEGMENT: usize = 8 * 1024;

/// A boundary is where these bits of the fingerprint are zero: one position in 2^20.
const MASK: u64 = (1 << 20) - 1;

/// What the polynomial makes of each byte.
pub(super) struct Tables {
    /// The fingerprint of a byte that leaves the window.
    out: [u64; 256],
    /// What reduces a fingerprint that a byte was appended to, by its highest 8 bits.
    reduce: [u64; 256],
    shift: u32,
}

impl Tables {
    pub(super) fn new(polynomial: Polynomial) -> Self {
        let polynomial = polynomial.bits();
        let degree = polynomial.ilog2();
        let out = std::array::from_fn(|byte| {
            (1..WINDOW).fold(remainder(byte as u64, polynomial), |hash, _| {
                remainder(hash << 8, polynomial)
            })
        });
        let reduce = std::array::from_fn(|byte| {
            let high = (byte as u64) << degree;
            remainder(high, polynomial) | high
        });
        Self {
            out,
            reduce,
            shift: degree - 8,
        }
    }

    /// The first position from `from` on, not after the end of the bytes, whose preceding
    /// window has a fingerprint of a boundary. There must be a window before `from`.
    pub(super) fn find(&self, bytes: &[u8], mut from: usize) -> Option<usize> {
        while bytes.len() - from >= 4 * SEGMENT {
            if let Some(found) = self.find_in_lanes(bytes, from) {
                return Some(found);
            }
            from += 4 * SEGMENT;
        }
        self.find_in_one(bytes, from)
    }

    fn find_in_one(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut hash = self.fingerprint(&bytes[from - WINDOW..from]);
        if hash & MASK == 0 {
            return Some(from);
        }
        let leaving = &bytes[from - WINDOW..];
        for (index, (new, old)) in bytes[from..].iter().zip(leaving).enumerate() {
            hash = self.slide(hash, *new, *old);
            if hash & MASK == 0 {
                return Some(from + index + 1);
            }
        }
        None
    }

    fn find_in_lanes(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let segment = |lane: usize| {
            let start = from + lane * SEGMENT;
            let new: &[u8; SEGMENT] = bytes[start..]
                .first_chunk()
                .expect("the caller has seen four segments");
            let old: &[u8; SEGMENT] = bytes[start - WINDOW..]
                .first_chunk()
                .expect("it lies before that");
            (new, old, self.fingerprint(&old[..WINDOW]))
        };
        let (new0, old0, mut hash0) = segment(0);
        let (new1, old1, mut hash1) = segment(1);
        let (new2, old2, mut hash2) = segment(2);
        let (new3, old3, mut hash3) = segment(3);
        if hash0 & MASK == 0 {
            return Some(from);
        }
        let mut found = [None; 4];
        for index in 0..SEGMENT {
            hash0 = self.slide(hash0, new0[index], old0[index]);
            hash1 = self.slide(hash1, new1[index], old1[index]);
            hash2 = self.slide(hash2, new2[index], old2[index]);
            hash3 = self.slide(hash3, new3[index], old3[index]);
            // One branch for all lanes, which is nearly never taken.
            let least = (hash0 & MASK)
                .min(hash1 & MASK)
                .min((hash2 & MASK).min(hash3 & MASK));
            if least == 0 {
                for (lane, hash) in [hash0, hash1, hash2, hash3].into_iter().enumerate() {
                    if hash & MASK == 0 {
                        found[lane].get_or_insert(from + lane * SEGMENT + index + 1);
                    }
                }
                if found[0].is_some() {
                    break;
                }
            }
        }
        found.into_iter().flatten().next()
    }

    fn fingerprint(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash, byte| self.append(hash, *byte))
    }

    fn slide(&self, hash: u64, new: u8, old: u8) -> u64 {
        self.append(hash ^ self.out[usize::from(old)], new)
    }

    fn append(&self, hash: u64, byte: u8) -> u64 {
        // A fingerprint has fewer bits than the polynomial's degree, so 8 are left here.
        #[expect(clippy::cast_possible_truncation, reason = "at most 8 bits are left")]
        let high = (hash >> self.shift) as u8;
        ((hash << 8) | u64::from(byte)) ^ self.reduce[usize::from(high)]
    }
}
