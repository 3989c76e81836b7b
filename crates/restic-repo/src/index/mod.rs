//! The index: the pack and offset of each blob.

mod blobs;
mod contents;
mod file;
mod writer;

use std::collections::{HashMap, HashSet};

pub(crate) use contents::{Contents, Number, Numbers};
pub(crate) use file::{IndexFile, IndexedPack};
pub(crate) use writer::IndexWriter;

use crate::pack::{BlobType, EMPTY_LENGTH, PackedBlob, listed_length};
use crate::{Id, Listed};
use blobs::{Blobs, Entry};

/// The location of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: Id,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) uncompressed_length: Option<u32>,
}

impl Location {
    /// The length of the plaintext in bytes.
    pub(crate) fn plain_length(&self) -> u64 {
        u64::from(
            self.uncompressed_length
                .unwrap_or(self.length.saturating_sub(crate::pack::OVERHEAD)),
        )
    }
}

/// The contents of all index files in memory, at most 60 bytes a blob.
#[derive(Default)]
pub(crate) struct Index {
    /// With the lengths of the complete packs in bytes.
    packs: Vec<Listed>,
    numbers: HashMap<Id, u32>,
    data: Blobs,
    trees: Blobs,
    is_loaded: bool,
    /// Stored trees do not count as stored.
    doubts_trees: bool,
}

/// How to treat blobs that are in no complete pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Lookups find them in their incomplete pack.
    Kept,
    /// Lookups do not find them.
    Dropped,
}

impl Index {
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Marks the index as completely loaded.
    pub(crate) fn loaded(&mut self) {
        self.is_loaded = true;
    }

    /// Adds a pack. Lookups find its blobs there from now on.
    pub(crate) fn add(&mut self, pack: Id, blobs: &[PackedBlob]) {
        let next = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(pack).or_insert(next);
        if number == next {
            self.packs.push(Listed {
                id: pack,
                length: EMPTY_LENGTH,
            });
        }
        for blob in blobs {
            let entry = Entry {
                id: blob.id,
                pack: number,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length.unwrap_or(0),
            };
            // A pack may be listed twice.
            if self.blobs_mut(blob.blob_type).add(entry) {
                self.packs[number as usize].length += listed_length(blob);
            }
        }
    }

    /// Adds all packs of an index file.
    pub(crate) fn add_file(&mut self, file: IndexFile) {
        for (pack, blobs) in file.packs.into_iter().map(IndexedPack::into_blobs) {
            self.add(pack, &blobs);
        }
    }

    /// The packs by their numbers, with the lengths of the complete packs in bytes.
    pub(crate) fn packs(&self) -> &[Listed] {
        &self.packs
    }

    /// Whether the index lists a pack.
    pub(crate) fn lists(&self, pack: Id) -> bool {
        self.numbers.contains_key(&pack)
    }

    /// Whether some blobs are in several packs.
    pub(crate) fn has_repeated_blobs(&self) -> bool {
        self.data.are_repeated() || self.trees.are_repeated()
    }

    /// Prefers complete packs: those that are stored with the length that their blobs add up to.
    pub(crate) fn rely_on(&mut self, there: &HashMap<Id, u64>, rest: Rest) {
        let is_whole = |pack: &Listed| there.get(&pack.id) == Some(&pack.length);
        let whole: Vec<bool> = self.packs.iter().map(is_whole).collect();
        for blobs in [&mut self.data, &mut self.trees] {
            blobs.sift(|pack| whole[pack as usize], rest == Rest::Kept);
        }
    }

    /// Makes lookups find a blob in this pack, if it is there.
    pub(crate) fn prefer(&mut self, blob_type: BlobType, id: Id, pack: Id) {
        if let Some(number) = self.numbers.get(&pack).copied() {
            self.blobs_mut(blob_type).prefer(&id, number);
        }
    }

    /// The location of a blob.
    pub(crate) fn find(&self, blob_type: BlobType, id: Id) -> Option<Location> {
        self.blobs(blob_type)
            .find(&id)
            .map(|entry| self.location(entry))
    }

    /// The other locations of a blob, in case the first one is damaged.
    pub(crate) fn others(&self, blob_type: BlobType, id: Id) -> Vec<Location> {
        let others = self.blobs(blob_type).others(&id);
        others.map(|entry| self.location(entry)).collect()
    }

    fn location(&self, entry: &Entry) -> Location {
        Location {
            pack: self.packs[entry.pack as usize].id,
            offset: entry.offset,
            length: entry.length,
            uncompressed_length: uncompressed_length(entry),
        }
    }

    /// Makes backups store all trees anew, because stored ones may be damaged. Lookups still find them.
    pub(crate) fn doubt_trees(&mut self) {
        self.doubts_trees = true;
    }

    /// Forgets all blobs but these.
    pub(crate) fn retain(&mut self, data: &HashSet<Id>, trees: &HashSet<Id>) {
        self.data.retain(data);
        self.trees.retain(trees);
    }

    /// Whether a blob need not be stored.
    pub(crate) fn contains(&self, blob_type: BlobType, id: Id) -> bool {
        let is_doubted = self.doubts_trees && blob_type == BlobType::Tree;
        !is_doubted && self.blobs(blob_type).find(&id).is_some()
    }

    fn blobs(&self, blob_type: BlobType) -> &Blobs {
        match blob_type {
            BlobType::Data => &self.data,
            BlobType::Tree => &self.trees,
        }
    }

    fn blobs_mut(&mut self, blob_type: BlobType) -> &mut Blobs {
        match blob_type {
            BlobType::Data => &mut self.data,
            BlobType::Tree => &mut self.trees,
        }
    }
}

fn uncompressed_length(entry: &Entry) -> Option<u32> {
    (entry.uncompressed_length != 0).then_some(entry.uncompressed_length)
}
