//! Open packs, over which blobs are distributed at random.
//!
//! The contents of a file determine its cuts. An attacker who knows some contents and sees the lengths of their
//! chunks can compute the secret of the repository that determines the cuts, and then recognise other files
//! (<https://www.daemonology.net/blog/chunking-attacks.pdf>). The attacker sees packs, and which parts of them are
//! read. If adjacent chunks go into different packs, in an unpredictable order, neither reveals where a chunk ends.
//! restic does the same since 0.18.

use super::{BlobType, PackBuilder};
use crate::{Id, Result, Sealed};

/// As many as restic has.
const PACKS: usize = 2;

/// Packs in the making.
pub(crate) struct Shuffle {
    packs: [PackBuilder; PACKS],
    /// Random bits that were not used yet, a byte for eight blobs.
    bits: u8,
    left: u8,
}

impl Shuffle {
    pub(crate) fn new(blob_type: BlobType) -> Self {
        Self {
            packs: [blob_type; PACKS].map(PackBuilder::new),
            bits: 0,
            left: 0,
        }
    }

    /// Adds a blob whose plaintext has this length. Answers the pack that is full with it. `random` gives random bits.
    pub(crate) fn add(
        &mut self,
        random: impl FnOnce() -> u8,
        id: Id,
        sealed: &Sealed,
        plain_length: usize,
    ) -> Result<Option<PackBuilder>> {
        if self.left == 0 {
            self.bits = random();
            self.left = 8;
        }
        let pack = &mut self.packs[usize::from(self.bits & 1)];
        self.bits >>= 1;
        self.left -= 1;
        pack.add(id, sealed, plain_length)?;
        Ok(pack.is_full().then(|| pack.take()))
    }

    /// What is left of the packs, in one where it fits.
    pub(crate) fn take(&mut self) -> Vec<PackBuilder> {
        let [first, second] = &mut self.packs;
        first.absorb(second.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packs of so many blobs of this length, which are numbered, and dealt by these bits.
    fn deal(blobs: u8, length: usize, bits: u8) -> Vec<PackBuilder> {
        let mut shuffle = Shuffle::new(BlobType::Data);
        let mut packs = Vec::new();
        for number in 0..blobs {
            let sealed = Sealed {
                bytes: vec![number; length],
                compressed: false,
            };
            let id = Id([number; 32]);
            let full = shuffle.add(|| bits, id, &sealed, length);
            packs.extend(full.expect("it is small enough"));
        }
        packs.extend(shuffle.take());
        packs
    }

    #[test]
    fn neighbours_go_into_different_packs_as_random_bits_say() {
        let packs = deal(16, 3 << 20, 0b0101_0110);
        let first = packs[0].blobs().iter().map(|blob| blob.id);
        let first: Vec<_> = first.collect();
        assert_eq!(first, [1, 2, 4, 6, 9, 10].map(|number| Id([number; 32])));
    }

    #[test]
    fn what_is_left_goes_into_one_pack_where_it_fits() {
        let packs = deal(8, 1000, 0b0101_0110);
        assert_eq!(packs.len(), 1);
        let all = packs[0].bytes();
        let mut end = 0;
        for blob in packs[0].blobs() {
            assert_eq!((blob.offset, blob.length), (end, 1000));
            let bytes = &all[end as usize..][..1000];
            assert!(bytes.iter().all(|byte| Id([*byte; 32]) == blob.id));
            end += blob.length;
        }
        assert_eq!(end, 8000);
        assert_eq!(deal(6, 3 << 20, 0b0101_0110).len(), 2);
    }
}
