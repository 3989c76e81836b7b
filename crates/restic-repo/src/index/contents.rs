//! The blobs of each pack, and sets of blobs, for a prune.

use super::{Blobs, Index, uncompressed_length};
use crate::Id;
use crate::pack::{BlobType, PackedBlob};

/// Identifies a blob in a pack. The same blob in another pack has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    blob_type: BlobType,
    number: u32,
}

/// The blobs of each pack, 4 bytes a blob.
pub(crate) struct Contents {
    data: ByPack,
    trees: ByPack,
}

/// Numbers of entries, pack after pack.
struct ByPack {
    numbers: Vec<u32>,
    /// The index of each pack's first number, and the end of the last pack.
    starts: Vec<u32>,
}

impl ByPack {
    fn of(blobs: &Blobs, packs: usize) -> Self {
        let mut starts = vec![0; packs + 1];
        for number in 0..blobs.len() {
            starts[blobs.get(number).pack as usize + 1] += 1;
        }
        for pack in 0..packs {
            starts[pack + 1] += starts[pack];
        }
        let mut next = starts.clone();
        let mut numbers = vec![0; blobs.len() as usize];
        for number in 0..blobs.len() {
            let place = &mut next[blobs.get(number).pack as usize];
            numbers[*place as usize] = number;
            *place += 1;
        }
        Self { numbers, starts }
    }

    fn pack(&self, pack: usize) -> &[u32] {
        &self.numbers[self.starts[pack] as usize..self.starts[pack + 1] as usize]
    }
}

impl Contents {
    /// The blobs of the pack with this number.
    pub(crate) fn pack(&self, pack: usize) -> impl Iterator<Item = Number> {
        let data = self.data.pack(pack).iter();
        let trees = self.trees.pack(pack).iter();
        let data = data.map(|number| Number {
            blob_type: BlobType::Data,
            number: *number,
        });
        data.chain(trees.map(|number| Number {
            blob_type: BlobType::Tree,
            number: *number,
        }))
    }
}

impl Index {
    /// Groups the blobs by packs.
    pub(crate) fn contents(&self) -> Contents {
        Contents {
            data: ByPack::of(&self.data, self.packs.len()),
            trees: ByPack::of(&self.trees, self.packs.len()),
        }
    }

    /// The number of the primary entry of a blob.
    pub(crate) fn number(&self, blob_type: BlobType, id: Id) -> Option<Number> {
        let number = self.blobs(blob_type).number(&id)?;
        Some(Number { blob_type, number })
    }

    /// The number of the primary entry of the same blob.
    pub(crate) fn found_for(&self, Number { blob_type, number }: Number) -> Option<Number> {
        let number = self.blobs(blob_type).counting_for(number)?;
        Some(Number { blob_type, number })
    }

    /// The blobs of a pack by their offsets.
    pub(crate) fn blobs_in(&self, contents: &Contents, pack: Id) -> Vec<PackedBlob> {
        let Some(number) = self.numbers.get(&pack) else {
            return Vec::new();
        };
        let blobs = contents.pack(*number as usize);
        let mut blobs: Vec<_> = blobs.map(|blob| self.blob(blob)).collect();
        blobs.sort_by_key(|blob| blob.offset);
        blobs
    }

    /// A blob by its number.
    pub(crate) fn blob(&self, Number { blob_type, number }: Number) -> PackedBlob {
        let entry = self.blobs(blob_type).get(number);
        PackedBlob {
            id: entry.id,
            blob_type,
            offset: entry.offset,
            length: entry.length,
            uncompressed_length: uncompressed_length(entry),
        }
    }
}

/// A set of blobs, with a byte for each blob of the index.
pub(crate) struct Numbers {
    data: Vec<bool>,
    trees: Vec<bool>,
}

impl Numbers {
    /// The empty set for this index.
    pub(crate) fn none_of(index: &Index) -> Self {
        Self {
            data: vec![false; index.data.len() as usize],
            trees: vec![false; index.trees.len() as usize],
        }
    }

    /// Adds a blob.
    pub(crate) fn insert(&mut self, number: Number) {
        *self.of(number) = true;
    }

    /// Removes a blob. Returns whether the set contained it.
    pub(crate) fn remove(&mut self, number: Number) -> bool {
        std::mem::take(self.of(number))
    }

    /// Whether the set contains a blob.
    pub(crate) fn contains(&self, Number { blob_type, number }: Number) -> bool {
        match blob_type {
            BlobType::Data => self.data[number as usize],
            BlobType::Tree => self.trees[number as usize],
        }
    }

    fn of(&mut self, Number { blob_type, number }: Number) -> &mut bool {
        match blob_type {
            BlobType::Data => &mut self.data[number as usize],
            BlobType::Tree => &mut self.trees[number as usize],
        }
    }
}
