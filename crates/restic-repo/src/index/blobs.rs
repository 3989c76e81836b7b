//! A compact table of the blobs of one type: 48 bytes for each blob, and 6 to 12 for its place in the hash table.

use std::collections::{HashMap, HashSet};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use crate::Id;

/// Entries in one allocation. A single vector would be copied when it grows, and have up to twice the size that it needs.
const CHUNK: usize = 1 << 10;

/// A blob in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Id,
    /// The number of its pack.
    pub(super) pack: u32,
    pub(super) offset: u32,
    /// Its sealed length.
    pub(super) length: u32,
    /// 0 if the blob is not compressed. An empty blob is never compressed.
    pub(super) uncompressed_length: u32,
}

/// All blobs of a type. A blob in several packs has an entry for each. One of them is the primary entry, which lookups find.
#[derive(Default)]
pub(super) struct Blobs {
    entries: Entries,
    /// The number of the primary entry of each id.
    counting: HashTable<u32>,
    /// The numbers of all other entries.
    others: HashMap<Id, Vec<u32>>,
}

impl Blobs {
    /// Adds an entry as the primary one. Returns whether it is new.
    pub(super) fn add(&mut self, entry: Entry) -> bool {
        let Self {
            entries,
            counting,
            others,
        } = self;
        let slot = counting.entry(
            hash(&entry.id),
            |number| entries.get(*number).id == entry.id,
            |number| hash(&entries.get(*number).id),
        );
        let number = entries.next();
        match slot {
            Slot::Vacant(slot) => {
                slot.insert(number);
            }
            Slot::Occupied(mut slot) => {
                let before = *slot.get();
                if *entries.get(before) == entry {
                    return false;
                }
                let others = others.entry(entry.id).or_default();
                if others.iter().any(|other| *entries.get(*other) == entry) {
                    return false;
                }
                others.push(before);
                *slot.get_mut() = number;
            }
        }
        entries.push(entry);
        true
    }

    /// The primary entry of an id.
    pub(super) fn find(&self, id: &Id) -> Option<&Entry> {
        self.number(id).map(|number| self.entries.get(number))
    }

    /// The number of the primary entry of an id.
    pub(super) fn number(&self, id: &Id) -> Option<u32> {
        let is_it = |number: &u32| self.entries.get(*number).id == *id;
        self.counting.find(hash(id), is_it).copied()
    }

    /// The number of the primary entry of the same blob.
    pub(super) fn counting_for(&self, number: u32) -> Option<u32> {
        self.number(&self.entries.get(number).id)
    }

    /// An entry by its number.
    pub(super) fn get(&self, number: u32) -> &Entry {
        self.entries.get(number)
    }

    /// All entries but the primary one.
    pub(super) fn others(&self, id: &Id) -> impl Iterator<Item = &Entry> {
        let numbers = self.others.get(id).into_iter().flatten();
        numbers.map(|number| self.entries.get(*number))
    }

    /// Makes the entry in this pack the primary one.
    pub(super) fn prefer(&mut self, id: &Id, pack: u32) {
        let Some(others) = self.others.get_mut(id) else {
            return;
        };
        let entries = &self.entries;
        let is_it = |number: &u32| entries.get(*number).id == *id;
        if let Some(counting) = self.counting.find_mut(hash(id), is_it)
            && entries.get(*counting).pack != pack
            && let Some(other) = others
                .iter_mut()
                .find(|number| entries.get(**number).pack == pack)
        {
            std::mem::swap(counting, other);
        }
    }

    /// Prefers entries in packs that pass. Blobs without such an entry stay if `keeps_the_rest`; otherwise lookups no longer find them.
    pub(super) fn sift(&mut self, passes: impl Fn(u32) -> bool, keeps_the_rest: bool) {
        let Self {
            entries,
            counting,
            others,
        } = self;
        let passes = |number: u32| passes(entries.get(number).pack);
        counting.retain(|counting| {
            if passes(*counting) {
                return true;
            }
            let id = &entries.get(*counting).id;
            let other = others
                .get_mut(id)
                .and_then(|others| others.iter_mut().find(|number| passes(**number)));
            match other {
                Some(other) => {
                    std::mem::swap(counting, other);
                    true
                }
                None => keeps_the_rest,
            }
        });
        if !keeps_the_rest {
            others.retain(|_, others| {
                others.retain(|number| passes(*number));
                !others.is_empty()
            });
        }
    }

    /// Forgets all blobs but these.
    pub(super) fn retain(&mut self, ids: &HashSet<Id>) {
        let entries = &self.entries;
        self.counting
            .retain(|number| ids.contains(&entries.get(*number).id));
        self.others.retain(|id, _| ids.contains(id));
    }

    /// The number of entries. Entries are numbered from 0.
    pub(super) fn len(&self) -> u32 {
        self.entries.next()
    }

    /// Whether a blob has more than one entry.
    pub(super) fn are_repeated(&self) -> bool {
        !self.others.is_empty()
    }
}

/// Ids are digests, and as random as a hash. Only someone with the key can choose them.
fn hash(id: &Id) -> u64 {
    let first = id.0.first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default())
}

/// Entries by their numbers.
#[derive(Default)]
struct Entries(Vec<Vec<Entry>>);

impl Entries {
    fn get(&self, number: u32) -> &Entry {
        &self.0[number as usize / CHUNK][number as usize % CHUNK]
    }

    fn push(&mut self, entry: Entry) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.0.push(chunk);
            }
        }
    }

    /// The number of the next entry.
    fn next(&self) -> u32 {
        let Some((last, full)) = self.0.split_last() else {
            return 0;
        };
        let number = full.len() * CHUNK + last.len();
        u32::try_from(number).expect("so many entries have no room in memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blobs {
        /// Its size in bytes.
        fn memory(&self) -> usize {
            let entries = self.entries.0.len() * CHUNK * size_of::<Entry>();
            entries + self.counting.allocation_size()
        }
    }

    /// An entry with an id made from this number.
    fn entry(number: u64, pack: u32) -> Entry {
        let mut id = [0; 32];
        for (word, salt) in id.chunks_exact_mut(8).zip(1..) {
            let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.rotate_left(salt));
            word.copy_from_slice(&mixed.to_le_bytes());
        }
        Entry {
            id: Id(id),
            pack,
            offset: 0,
            length: 100,
            uncompressed_length: 0,
        }
    }

    #[test]
    fn a_blob_takes_60_bytes_at_most() {
        let mut blobs = Blobs::default();
        let mut most = 0;
        for number in 0..1_000_000 {
            assert!(blobs.add(entry(number, 0)));
            if number >= 100_000 {
                most = most.max(blobs.memory() as u64 * 1000 / (number + 1));
            }
        }
        assert!(most <= 60_000, "{most} thousandths of a byte");
        let wanted = entry(777_777, 0);
        assert_eq!(blobs.find(&wanted.id), Some(&wanted));
    }

    #[test]
    fn of_a_blob_in_several_packs_the_last_one_counts_until_another_is_preferred() {
        let mut blobs = Blobs::default();
        for pack in 0..3 {
            assert!(blobs.add(entry(7, pack)));
        }
        assert!(!blobs.add(entry(7, 1)), "it is listed twice");
        let id = entry(7, 0).id;
        let pack = |blobs: &Blobs| blobs.find(&id).map(|entry| entry.pack);
        assert_eq!((blobs.len(), pack(&blobs)), (3, Some(2)));
        blobs.prefer(&id, 0);
        blobs.prefer(&id, 9);
        assert_eq!(pack(&blobs), Some(0));
        let mut others: Vec<_> = blobs.others(&id).map(|entry| entry.pack).collect();
        others.sort_unstable();
        assert_eq!(others, [1, 2]);
    }

    #[test]
    fn packs_that_do_not_pass_give_way() {
        let mut blobs = Blobs::default();
        for (number, pack) in [(1, 0), (1, 1), (2, 1), (3, 0)] {
            blobs.add(entry(number, pack));
        }
        let packs = |blobs: &Blobs| {
            [1, 2, 3].map(|number| blobs.find(&entry(number, 0).id).map(|entry| entry.pack))
        };
        blobs.sift(|pack| pack == 0, true);
        assert_eq!(packs(&blobs), [Some(0), Some(1), Some(0)]);
        assert!(blobs.are_repeated());
        blobs.sift(|pack| pack == 0, false);
        assert_eq!(packs(&blobs), [Some(0), None, Some(0)]);
        assert!(!blobs.are_repeated());
    }
}
