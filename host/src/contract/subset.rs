//! A part of the objects of a store, and how much it holds.

/// The objects whose positions are in a range; see the contract's `subset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subset {
    /// The first position.
    pub(crate) first: u32,
    /// The last position. If it is lower than the first, the range wraps around to 0.
    pub(crate) last: u32,
}

/// The amount of stored data; see the contract's `usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Usage {
    /// Objects that contain data.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Subset {
    /// The number of positions.
    pub(crate) const PLACES: u64 = 1 << 32;

    /// Everything.
    pub(crate) const ALL: Self = Self {
        first: 0,
        last: u32::MAX,
    };

    /// A range of this many positions from this one on, at least one and at most all.
    pub(crate) fn from(first: u32, places: u64) -> Self {
        let further = places.clamp(1, Self::PLACES) - 1;
        let further = u32::try_from(further).unwrap_or(u32::MAX);
        Self {
            first,
            last: first.wrapping_add(further),
        }
    }

    /// This one of so many equal parts, counted from 1. Together they are everything, and none
    /// shares a place with another.
    pub(crate) fn part(number: u32, of: u32) -> Self {
        let start = |number: u32| u64::from(number) * Self::PLACES / u64::from(of.max(1));
        let first = start(number.saturating_sub(1));
        let places = start(number).saturating_sub(first);
        Self::from(u32::try_from(first).unwrap_or(u32::MAX), places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_are_everything() {
        for of in [1, 2, 3, 7, 30, 256, 1000] {
            let mut next = 0;
            for number in 1..=of {
                let part = Subset::part(number, of);
                assert_eq!(part.first, next, "{number}/{of}");
                assert!(part.last >= part.first);
                next = part.last.wrapping_add(1);
            }
            assert_eq!(next, 0, "the last part of {of} ends at the highest place");
        }
        assert_eq!(Subset::part(1, 1), Subset::ALL);
    }

    #[test]
    fn a_subset_goes_on_at_the_lowest_place() {
        let over_the_end = Subset::from(u32::MAX, 3);
        assert_eq!((over_the_end.first, over_the_end.last), (u32::MAX, 1));
        assert_eq!(Subset::from(7, 0).last, 7);
        let all = Subset::from(7, u64::MAX);
        assert_eq!((all.first, all.last), (7, 6));
    }
}
