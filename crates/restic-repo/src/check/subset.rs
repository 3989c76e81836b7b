//! A subset of the packs.

use crate::Id;

/// The packs whose names are in a range. Names are digests, and so spread evenly over all ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subset {
    /// The lowest number with which a name begins, of its first four bytes.
    pub first: u32,
    /// The highest one. When it is lower, the range goes on at 0 behind the end.
    pub last: u32,
}

/// How much is in some packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Subset {
    /// All packs.
    pub const ALL: Self = Self {
        first: 0,
        last: u32::MAX,
    };

    /// Whether a pack is one of them.
    pub(super) fn has(self, pack: Id) -> bool {
        let [a, b, c, d, ..] = pack.0;
        let place = u32::from_be_bytes([a, b, c, d]);
        if self.first <= self.last {
            (self.first..=self.last).contains(&place)
        } else {
            place >= self.first || place <= self.last
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_in_the_range_that_its_name_begins_with() {
        let has = |first, last, place: u32| {
            let mut id = Id([0xab; 32]);
            id.0[..4].copy_from_slice(&place.to_be_bytes());
            Subset { first, last }.has(id)
        };
        assert!(has(7, 9, 7) && has(7, 9, 9) && !has(7, 9, 6) && !has(7, 9, 10));
        // Over the end.
        assert!(has(9, 7, u32::MAX) && has(9, 7, 0) && !has(9, 7, 8));
        assert!(Subset::ALL.has(Id([0; 32])) && Subset::ALL.has(Id([0xff; 32])));
    }
}
