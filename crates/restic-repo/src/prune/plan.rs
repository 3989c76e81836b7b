//! Plans which packs to keep, to remove and to repack.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::error::corrupt;
use crate::index::{Contents, Index, Number, Numbers};
use crate::pack::{BlobType, PackedBlob};
use crate::{Id, Listed, Result};

/// Data packs keep their unused blobs while these are less than 1 in 20 of all bytes, as in
/// restic.
const TOLERATED: u64 = 20;

/// The blobs that snapshots need.
pub(super) struct Needed {
    /// Those that the index finds.
    found: Numbers,
    /// One that the index does not find.
    lost: Option<Id>,
}

impl Needed {
    /// No blob of this index.
    pub(super) fn none_of(index: &Index) -> Self {
        Self {
            found: Numbers::none_of(index),
            lost: None,
        }
    }

    /// Adds a blob.
    pub(super) fn insert(&mut self, index: &Index, blob_type: BlobType, id: Id) {
        match index.number(blob_type, id) {
            Some(number) => self.found.insert(number),
            None => self.lost = Some(id),
        }
    }
}

/// What to do with each pack.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Packs that stay.
    pub(super) keep: Vec<Listed>,
    /// Packs to remove, after the repacking.
    pub(super) remove: Vec<Listed>,
    /// The blobs to copy from them.
    pub(super) repack: Vec<Repack>,
    /// Unneeded bytes in the packs that stay.
    pub(super) unused: u64,
    /// The index must be written anew.
    pub(super) changes_index: bool,
}

/// A pack to remove of which some blobs are needed.
#[derive(Debug)]
pub(super) struct Repack {
    pub(super) pack: Listed,
    /// Its needed blobs.
    pub(super) taken: Vec<PackedBlob>,
    /// Bytes of its other blobs.
    unused: u64,
}

/// A complete pack.
struct Candidate {
    /// Its number in the index.
    number: usize,
    pack: Listed,
    has_trees: bool,
    /// Bytes of needed blobs that no earlier pack supplies.
    used: u64,
    unused: u64,
}

/// Makes the plan. The index must find blobs in complete packs only. Fails if a needed blob is in none.
pub(super) fn plan(index: &Index, there: &HashMap<Id, u64>, needed: Needed) -> Result<Plan> {
    if let Some(lost) = needed.lost {
        return Err(corrupt(format!(
            "the blob {} is needed and in no pack that is there: nothing was removed, because a snapshot \
             is damaged; a check tells which",
            lost.short()
        )));
    }
    let mut plan = Plan::default();
    let unlisted = there.iter().filter(|(id, _)| !index.lists(**id));
    plan.remove = unlisted.map(|(id, length)| listed(*id, *length)).collect();
    let mut whole = Vec::new();
    for (number, pack) in index.packs().iter().enumerate() {
        match there.get(&pack.id) {
            Some(length) if *length == pack.length => whole.push((number, *pack)),
            // It is truncated or missing.
            length => {
                plan.remove
                    .extend(length.map(|length| listed(pack.id, *length)));
                plan.changes_index = true;
            }
        }
    }
    let contents = index.contents();
    let (candidates, taken) = take(index, &contents, whole, needed.found);

    let used: u64 = candidates.iter().map(|pack| pack.used).sum();
    plan.unused = candidates.iter().map(|pack| pack.unused).sum();
    for candidate in candidates {
        let goes = candidate.used == 0
            || candidate.unused > 0
                && (candidate.has_trees || plan.unused > used / (TOLERATED - 1));
        if !goes {
            plan.keep.push(candidate.pack);
            continue;
        }
        plan.unused -= candidate.unused;
        plan.changes_index = true;
        plan.remove.push(candidate.pack);
        if candidate.used > 0 {
            let blobs = contents.pack(candidate.number);
            let taken = blobs.filter(|blob| taken.contains(*blob));
            let mut taken: Vec<_> = taken.map(|blob| index.blob(blob)).collect();
            taken.sort_by_key(|blob| blob.offset);
            plan.repack.push(Repack {
                pack: candidate.pack,
                taken,
                unused: candidate.unused,
            });
        }
    }
    Ok(plan)
}

/// Assigns each needed blob to one pack. Returns the packs in the order of removal, and the assigned
/// entries.
fn take(
    index: &Index,
    contents: &Contents,
    packs: Vec<(usize, Listed)>,
    mut needed: Numbers,
) -> (Vec<Candidate>, Numbers) {
    let mut candidates: Vec<_> = packs
        .into_iter()
        .map(|(number, pack)| {
            let is_needed = |blob| {
                let found = index.found_for(blob);
                found.is_some_and(|found| needed.contains(found))
            };
            let (used, unused) = split(index, contents.pack(number), is_needed);
            let mut blobs = contents.pack(number);
            Candidate {
                number,
                pack,
                has_trees: blobs.any(|blob| index.blob(blob).blob_type == BlobType::Tree),
                used,
                unused,
            }
        })
        .collect();
    // Of several packs with the same blob, the one with the fewest unused bytes supplies it.
    candidates.sort_by_key(|pack| (pack.unused, Reverse(pack.used), pack.pack.id));
    let mut taken = Numbers::none_of(index);
    for candidate in &mut candidates {
        (candidate.used, candidate.unused) =
            split(index, contents.pack(candidate.number), |blob| {
                let found = index.found_for(blob);
                let is_taken = found.is_some_and(|found| needed.remove(found));
                if is_taken {
                    taken.insert(blob);
                }
                is_taken
            });
    }
    // Tree packs come first, because trees are read often. Among the others, the packs with the most
    // unused bytes come first.
    let permille = |pack: &Candidate| pack.unused * 1000 / (pack.used + pack.unused).max(1);
    candidates.sort_by_key(|pack| (!pack.has_trees, Reverse(permille(pack)), pack.pack.id));
    (candidates, taken)
}

/// The bytes of blobs that pass, and of the others.
fn split(
    index: &Index,
    blobs: impl Iterator<Item = Number>,
    mut passes: impl FnMut(Number) -> bool,
) -> (u64, u64) {
    blobs.fold((0, 0), |(used, unused), blob| {
        let length = u64::from(index.blob(blob).length);
        if passes(blob) {
            (used + length, unused)
        } else {
            (used, unused + length)
        }
    })
}

fn listed(id: Id, length: u64) -> Listed {
    Listed { id, length }
}

impl Plan {
    /// Makes the index find the blobs to repack in the packs that supply them.
    pub(super) fn point(&self, index: &mut Index) {
        for repack in &self.repack {
            for blob in &repack.taken {
                index.prefer(blob.blob_type, blob.id, repack.pack.id);
            }
        }
    }

    /// Keeps all packs of which something is needed, because there is no space to repack.
    pub(super) fn without_repacking(mut self) -> Self {
        for Repack { pack, unused, .. } in std::mem::take(&mut self.repack) {
            self.unused += unused;
            self.remove.retain(|gone| gone.id != pack.id);
            self.keep.push(pack);
        }
        self.changes_index = self.changes_index && !self.remove.is_empty();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Rest;
    use crate::pack::pack_length;

    fn id(number: u8) -> Id {
        Id([number; 32])
    }

    /// A pack of data blobs with these numbers and lengths.
    fn pack(number: u8, blobs: &[(u8, u32)]) -> (Id, Vec<PackedBlob>) {
        let mut offset = 0;
        let blobs = blobs.iter().map(|(blob, length)| {
            let packed = PackedBlob {
                id: id(*blob),
                blob_type: BlobType::Data,
                offset,
                length: *length,
                uncompressed_length: None,
            };
            offset += length;
            packed
        });
        (id(number), blobs.collect())
    }

    /// The plan for these stored packs and needed blobs.
    fn plan_of(
        packs: &[(Id, Vec<PackedBlob>)],
        there: &HashMap<Id, u64>,
        blob_type: BlobType,
        needed: &[u8],
    ) -> Result<Plan> {
        let mut index = Index::default();
        for (pack, blobs) in packs {
            index.add(*pack, blobs);
        }
        index.rely_on(there, Rest::Dropped);
        let mut marked = Needed::none_of(&index);
        for number in needed {
            marked.insert(&index, blob_type, id(*number));
        }
        plan(&index, there, marked)
    }

    fn plan_for(packs: &[(Id, Vec<PackedBlob>)], needed: &[u8]) -> Result<Plan> {
        let there = packs.iter().map(|(id, blobs)| (*id, pack_length(blobs)));
        plan_of(packs, &there.collect(), BlobType::Data, needed)
    }

    fn numbers<T>(packs: &[T], number: impl Fn(&T) -> Id) -> Vec<u8> {
        let mut numbers: Vec<_> = packs.iter().map(|pack| number(pack).0[0]).collect();
        numbers.sort_unstable();
        numbers
    }

    fn kept(plan: &Plan) -> Vec<u8> {
        numbers(&plan.keep, |pack| pack.id)
    }

    fn removed(plan: &Plan) -> Vec<u8> {
        numbers(&plan.remove, |pack| pack.id)
    }

    #[test]
    fn what_is_all_needed_stays_and_what_is_not_at_all_goes() {
        let packs = [pack(1, &[(10, 100)]), pack(2, &[(20, 100)])];
        let plan = plan_for(&packs, &[10]).expect("all is there");
        assert_eq!((kept(&plan), removed(&plan)), (vec![1], vec![2]));
        assert!(plan.repack.is_empty() && plan.changes_index);
        let plan = plan_for(&packs, &[10, 20]).expect("all is there");
        assert!(plan.remove.is_empty() && !plan.changes_index);
    }

    #[test]
    fn a_little_that_is_unused_is_tolerated_and_the_worst_pack_goes_first() {
        let packs = [
            pack(1, &[(10, 960), (11, 40)]),
            pack(2, &[(20, 400), (21, 600)]),
        ];
        let plan = plan_for(&packs, &[10, 20]).expect("all is there");
        assert_eq!((kept(&plan), removed(&plan)), (vec![1], vec![2]));
        assert_eq!(plan.unused, 40);
        let repack = &plan.repack[0];
        let repacked = &repack.taken;
        assert_eq!(
            (repack.pack.id, repacked[0].id, repacked.len()),
            (id(2), id(20), 1)
        );
        let plan = plan.without_repacking();
        assert_eq!((kept(&plan), removed(&plan)), (vec![1, 2], vec![]));
        assert_eq!((plan.unused, plan.changes_index), (640, false));
    }

    #[test]
    fn packs_with_trees_are_kept_tidy() {
        let (number, mut blobs) = pack(1, &[(10, 9_990), (11, 10)]);
        for blob in &mut blobs {
            blob.blob_type = BlobType::Tree;
        }
        let there = HashMap::from([(number, pack_length(&blobs))]);
        let plan = plan_of(&[(number, blobs)], &there, BlobType::Tree, &[10]);
        let plan = plan.expect("all is there");
        assert_eq!((removed(&plan), plan.repack.len()), (vec![1], 1));
    }

    #[test]
    fn of_a_blob_that_is_there_twice_one_stays() {
        let packs = [
            pack(1, &[(10, 500), (11, 500)]),
            pack(2, &[(10, 500), (12, 500)]),
        ];
        let plan = plan_for(&packs, &[10, 11, 12]).expect("all is there");
        let repacked: Vec<_> = plan
            .repack
            .iter()
            .flat_map(|repack| &repack.taken)
            .collect();
        assert_eq!((kept(&plan).len(), repacked.len()), (1, 1));
        let plan = plan_for(&packs, &[10, 11]).expect("all is there");
        assert_eq!((kept(&plan), removed(&plan)), (vec![1], vec![2]));
    }

    #[test]
    fn a_pack_that_no_index_lists_goes_and_one_that_is_gone_leaves_the_index() {
        let (first, second) = (pack(1, &[(10, 100)]), pack(2, &[(10, 100), (20, 100)]));
        let there = HashMap::from([(id(1), pack_length(&first.1)), (id(3), 77)]);
        let packs = [first, second];
        let plan = |needed| plan_of(&packs, &there, BlobType::Data, needed);
        let good = plan(&[10]).expect("it is in the first");
        assert_eq!((kept(&good), removed(&good)), (vec![1], vec![3]));
        assert!(good.changes_index);
        let lost = plan(&[10, 20]).expect_err("it is nowhere");
        assert!(lost.to_string().contains("nothing was removed"), "{lost}");
    }

    #[test]
    fn a_pack_that_is_cut_off_is_none() {
        let packs = [pack(1, &[(10, 100)])];
        let there = HashMap::from([(id(1), 50)]);
        let plan = |needed| plan_of(&packs, &there, BlobType::Data, needed);
        assert!(plan(&[10]).is_err());
        assert_eq!(removed(&plan(&[]).expect("nobody needs it")), [1]);
    }
}
