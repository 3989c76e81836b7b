//! Which packs stay, which go, and what is still needed of those.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::error::corrupt;
use crate::index::Index;
use crate::pack::{BlobType, PackedBlob, pack_length};
use crate::{Id, Listed, Result};

/// As long as less than this part of the packs of contents is unused, it stays: 1 in 20, as in
/// restic.
const TOLERATED: u64 = 20;

/// The blobs that snapshots need.
#[derive(Debug, Default)]
pub(super) struct Needed {
    pub(super) data: HashSet<Id>,
    pub(super) trees: HashSet<Id>,
}

impl Needed {
    fn of(&mut self, blob_type: BlobType) -> &mut HashSet<Id> {
        match blob_type {
            BlobType::Data => &mut self.data,
            BlobType::Tree => &mut self.trees,
        }
    }

    fn contains(&self, blob: &PackedBlob) -> bool {
        match blob.blob_type {
            BlobType::Data => self.data.contains(&blob.id),
            BlobType::Tree => self.trees.contains(&blob.id),
        }
    }
}

/// What is to be done with the packs.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// They stay as they are.
    pub(super) keep: Vec<(Id, Vec<PackedBlob>)>,
    /// They go, when what is needed of them is elsewhere.
    pub(super) remove: Vec<Listed>,
    /// That is this.
    pub(super) rescue: Vec<Rescue>,
    /// Bytes of the packs that stay which nobody needs.
    pub(super) unused: u64,
    /// The index lists something else now.
    pub(super) changes_index: bool,
}

/// A pack that goes although something of it is needed.
#[derive(Debug)]
pub(super) struct Rescue {
    pub(super) pack: Id,
    blobs: Vec<PackedBlob>,
    /// What is needed of it.
    pub(super) taken: Vec<PackedBlob>,
}

/// A pack that is there.
struct Candidate {
    id: Id,
    blobs: Vec<PackedBlob>,
    /// Those that are needed and in no pack before.
    taken: Vec<PackedBlob>,
    used: u64,
    unused: u64,
}

impl Candidate {
    fn has_trees(&self) -> bool {
        self.blobs
            .iter()
            .any(|blob| blob.blob_type == BlobType::Tree)
    }
}

/// Plans. An error when something that is needed is in no pack.
pub(super) fn plan(
    indexed: HashMap<Id, Vec<PackedBlob>>,
    there: &HashMap<Id, u64>,
    mut needed: Needed,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let unlisted = there.iter().filter(|(id, _)| !indexed.contains_key(id));
    plan.remove = unlisted.map(|(id, length)| listed(*id, *length)).collect();
    let mut whole = Vec::new();
    for (id, blobs) in indexed {
        match there.get(&id) {
            Some(length) if *length == pack_length(&blobs) => whole.push((id, blobs)),
            // It is cut off or gone. If anybody needs what was in it, that shows below.
            length => {
                plan.remove.extend(length.map(|length| listed(id, *length)));
                plan.changes_index = true;
            }
        }
    }
    let candidates = take(whole, &mut needed);
    let mut lost = needed.trees.iter().chain(&needed.data);
    if let Some(lost) = lost.next() {
        return Err(corrupt(format!(
            "the blob {} is needed and in no pack that is there: nothing was removed, because a snapshot \
             is damaged; a check tells which",
            lost.short()
        )));
    }

    let used: u64 = candidates.iter().map(|pack| pack.used).sum();
    plan.unused = candidates.iter().map(|pack| pack.unused).sum();
    for pack in candidates {
        let goes = pack.used == 0
            || pack.unused > 0 && (pack.has_trees() || plan.unused > used / (TOLERATED - 1));
        if !goes {
            plan.keep.push((pack.id, pack.blobs));
            continue;
        }
        plan.unused -= pack.unused;
        plan.changes_index = true;
        plan.remove.push(listed(pack.id, pack_length(&pack.blobs)));
        if pack.used > 0 {
            plan.rescue.push(Rescue {
                pack: pack.id,
                blobs: pack.blobs,
                taken: pack.taken,
            });
        }
    }
    Ok(plan)
}

/// Decides which pack each needed blob is taken from, and answers the packs in the order in which
/// they should go.
fn take(packs: Vec<(Id, Vec<PackedBlob>)>, needed: &mut Needed) -> Vec<Candidate> {
    let mut candidates: Vec<_> = packs
        .into_iter()
        .map(|(id, blobs)| {
            let (used, unused) = split(&blobs, |blob| needed.contains(blob));
            Candidate {
                id,
                blobs,
                taken: Vec::new(),
                used,
                unused,
            }
        })
        .collect();
    // Of several packs with the same blob, the one counts that has the least to be rid of.
    candidates.sort_by_key(|pack| (pack.unused, Reverse(pack.used), pack.id));
    for pack in &mut candidates {
        let blobs = pack.blobs.iter();
        pack.taken = blobs
            .filter(|blob| needed.of(blob.blob_type).remove(&blob.id))
            .copied()
            .collect();
        let taken: HashSet<u32> = pack.taken.iter().map(|blob| blob.offset).collect();
        (pack.used, pack.unused) = split(&pack.blobs, |blob| taken.contains(&blob.offset));
    }
    // Trees are read again and again, so theirs are kept tidy; of the others, those go first that
    // are worth it most.
    let permille = |pack: &Candidate| pack.unused * 1000 / (pack.used + pack.unused).max(1);
    candidates.sort_by_key(|pack| (!pack.has_trees(), Reverse(permille(pack)), pack.id));
    candidates
}

/// The bytes of blobs that pass, and of those that do not.
fn split(blobs: &[PackedBlob], passes: impl Fn(&PackedBlob) -> bool) -> (u64, u64) {
    blobs.iter().fold((0, 0), |(used, unused), blob| {
        let length = u64::from(blob.length);
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
    /// Makes an index find the blobs that are to be rescued where the plan takes them from.
    pub(super) fn point(&self, index: &mut Index) {
        for rescue in &self.rescue {
            index.add(rescue.pack, &rescue.taken);
        }
    }

    /// Lets the packs stay of which something is needed: there is no room to store that anew.
    pub(super) fn without_rescue(mut self) -> Self {
        for Rescue { pack, blobs, taken } in std::mem::take(&mut self.rescue) {
            let (used, _) = split(&taken, |_| true);
            let (all, _) = split(&blobs, |_| true);
            self.unused += all - used;
            self.remove.retain(|gone| gone.id != pack);
            self.keep.push((pack, blobs));
        }
        self.changes_index = self.changes_index && !self.remove.is_empty();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        Id([number; 32])
    }

    /// A pack of blobs of contents, by their numbers and lengths.
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

    fn plan_for(packs: &[(Id, Vec<PackedBlob>)], needed: &[u8]) -> Result<Plan> {
        let there = packs.iter().map(|(id, blobs)| (*id, pack_length(blobs)));
        let needed = Needed {
            data: needed.iter().map(|number| id(*number)).collect(),
            trees: HashSet::new(),
        };
        plan(packs.iter().cloned().collect(), &there.collect(), needed)
    }

    fn numbers<T>(packs: &[T], number: impl Fn(&T) -> Id) -> Vec<u8> {
        let mut numbers: Vec<_> = packs.iter().map(|pack| number(pack).0[0]).collect();
        numbers.sort_unstable();
        numbers
    }

    fn kept(plan: &Plan) -> Vec<u8> {
        numbers(&plan.keep, |(id, _)| *id)
    }

    fn removed(plan: &Plan) -> Vec<u8> {
        numbers(&plan.remove, |pack| pack.id)
    }

    #[test]
    fn what_is_all_needed_stays_and_what_is_not_at_all_goes() {
        let packs = [pack(1, &[(10, 100)]), pack(2, &[(20, 100)])];
        let plan = plan_for(&packs, &[10]).expect("all is there");
        assert_eq!((kept(&plan), removed(&plan)), (vec![1], vec![2]));
        assert!(plan.rescue.is_empty() && plan.changes_index);
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
        let rescue = &plan.rescue[0];
        let rescued = &rescue.taken;
        assert_eq!(
            (rescue.pack, rescued[0].id, rescued.len()),
            (id(2), id(20), 1)
        );
        let plan = plan.without_rescue();
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
        let needed = Needed {
            data: HashSet::new(),
            trees: HashSet::from([id(10)]),
        };
        let plan = plan(HashMap::from([(number, blobs)]), &there, needed).expect("all is there");
        assert_eq!((removed(&plan), plan.rescue.len()), (vec![1], 1));
    }

    #[test]
    fn of_a_blob_that_is_there_twice_one_stays() {
        let packs = [
            pack(1, &[(10, 500), (11, 500)]),
            pack(2, &[(10, 500), (12, 500)]),
        ];
        let plan = plan_for(&packs, &[10, 11, 12]).expect("all is there");
        let rescued: Vec<_> = plan
            .rescue
            .iter()
            .flat_map(|rescue| &rescue.taken)
            .collect();
        assert_eq!((kept(&plan).len(), rescued.len()), (1, 1));
        let plan = plan_for(&packs, &[10, 11]).expect("all is there");
        assert_eq!((kept(&plan), removed(&plan)), (vec![1], vec![2]));
    }

    #[test]
    fn a_pack_that_no_index_lists_goes_and_one_that_is_gone_leaves_the_index() {
        let (first, second) = (pack(1, &[(10, 100)]), pack(2, &[(10, 100), (20, 100)]));
        let there = HashMap::from([(id(1), pack_length(&first.1)), (id(3), 77)]);
        let needed = |numbers: &[u8]| Needed {
            data: numbers.iter().map(|number| id(*number)).collect(),
            trees: HashSet::new(),
        };
        let indexed = HashMap::from([first, second]);
        let good = plan(indexed.clone(), &there, needed(&[10])).expect("it is in the first");
        assert_eq!((kept(&good), removed(&good)), (vec![1], vec![3]));
        assert!(good.changes_index);
        let lost = plan(indexed, &there, needed(&[10, 20])).expect_err("it is nowhere");
        assert!(lost.to_string().contains("nothing was removed"), "{lost}");
    }

    #[test]
    fn a_pack_that_is_cut_off_is_none() {
        let packs = [pack(1, &[(10, 100)])];
        let there = HashMap::from([(id(1), 50)]);
        let needed = || Needed {
            data: HashSet::from([id(10)]),
            trees: HashSet::new(),
        };
        let indexed: HashMap<_, _> = packs.into_iter().collect();
        assert!(plan(indexed.clone(), &there, needed()).is_err());
        let plan = plan(indexed, &there, Needed::default()).expect("nobody needs it");
        assert_eq!(removed(&plan), [1]);
    }
}
