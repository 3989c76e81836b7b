//! The index: which blob is in which pack.

mod file;
mod writer;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) use file::{IndexFile, IndexedPack};
pub(crate) use writer::IndexWriter;

use crate::Id;
use crate::pack::{BlobType, PackedBlob};

/// Where a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: Id,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) uncompressed_length: Option<u32>,
}

impl Location {
    /// The length of what the blob holds.
    pub(crate) fn plain_length(&self) -> u64 {
        u64::from(
            self.uncompressed_length
                .unwrap_or(self.length.saturating_sub(crate::pack::OVERHEAD)),
        )
    }
}

/// Everything that all index files say, in memory: some 70 bytes a blob.
#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<Id>,
    numbers: HashMap<Id, u32, BuildHasherDefault<IdHasher>>,
    data: Map,
    trees: Map,
    /// Where else trees are of which there are several.
    others: HashMap<Id, Vec<Slot>>,
    loaded: bool,
    /// Trees that it has are not to be counted on.
    doubts_trees: bool,
}

type Map = HashMap<Id, Slot, BuildHasherDefault<IdHasher>>;

#[derive(Clone, Copy)]
struct Slot {
    pack: u32,
    offset: u32,
    length: u32,
    /// 0 for what is not compressed: a blob that holds nothing is never compressed.
    uncompressed_length: u32,
}

impl Index {
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Takes packs with their blobs; where a blob is in several, the last one counts. Answers
    /// whether some are.
    pub(crate) fn fill<'a>(
        &mut self,
        packs: impl IntoIterator<Item = &'a (Id, Vec<PackedBlob>)>,
    ) -> bool {
        let mut listed = 0;
        for (id, blobs) in packs {
            listed += blobs.len();
            self.add(*id, blobs);
        }
        self.loaded = true;
        listed > self.data.len() + self.trees.len()
    }

    /// Adds a pack.
    pub(crate) fn add(&mut self, pack: Id, blobs: &[PackedBlob]) {
        let next = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(pack).or_insert(next);
        if number == next {
            self.packs.push(pack);
        }
        for blob in blobs {
            let slot = Slot {
                pack: number,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length.unwrap_or(0),
            };
            let before = self.map_mut(blob.blob_type).insert(blob.id, slot);
            if let Some(before) = before
                && blob.blob_type == BlobType::Tree
                && before.pack != slot.pack
            {
                let others = self.others.entry(blob.id).or_default();
                others.retain(|other| other.pack != slot.pack && other.pack != before.pack);
                others.push(before);
            }
        }
    }

    /// Where a blob is.
    pub(crate) fn find(&self, blob_type: BlobType, id: Id) -> Option<Location> {
        self.location(self.map(blob_type).get(&id)?)
    }

    /// Where else a tree is, should it be damaged there.
    pub(crate) fn others(&self, id: Id) -> Vec<Location> {
        let others = self.others.get(&id).into_iter().flatten();
        others.filter_map(|slot| self.location(slot)).collect()
    }

    fn location(&self, slot: &Slot) -> Option<Location> {
        Some(Location {
            pack: *self.packs.get(slot.pack as usize)?,
            offset: slot.offset,
            length: slot.length,
            uncompressed_length: (slot.uncompressed_length != 0)
                .then_some(slot.uncompressed_length),
        })
    }

    /// Relies on no tree any more, because one is damaged or somebody fears it: all are stored anew. They are found as
    /// before.
    pub(crate) fn doubt_trees(&mut self) {
        self.doubts_trees = true;
    }

    /// Forgets all blobs but these.
    pub(crate) fn retain(&mut self, data: &HashSet<Id>, trees: &HashSet<Id>) {
        self.data.retain(|id, _| data.contains(id));
        self.trees.retain(|id, _| trees.contains(id));
    }

    /// Whether a blob need not be stored.
    pub(crate) fn contains(&self, blob_type: BlobType, id: Id) -> bool {
        let is_doubted = self.doubts_trees && blob_type == BlobType::Tree;
        !is_doubted && self.map(blob_type).contains_key(&id)
    }

    fn map(&self, blob_type: BlobType) -> &Map {
        match blob_type {
            BlobType::Data => &self.data,
            BlobType::Tree => &self.trees,
        }
    }

    fn map_mut(&mut self, blob_type: BlobType) -> &mut Map {
        match blob_type {
            BlobType::Data => &mut self.data,
            BlobType::Tree => &mut self.trees,
        }
    }
}

/// Ids are digests, as random as a hash can be; who can choose them has the key.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
