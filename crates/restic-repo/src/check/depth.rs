//! The maximum depth of directories.

use std::collections::HashMap;

use crate::Id;

/// Which trees are in which. A tree is in itself by no way, or its id would be no digest.
#[derive(Default)]
pub(super) struct Depth {
    numbers: HashMap<Id, u32>,
    /// From a tree to one that is in it.
    below: Vec<(u32, u32)>,
}

impl Depth {
    /// A tree is in another one.
    pub(super) fn add(&mut self, above: Id, tree: Id) {
        let step = (self.number(above), self.number(tree));
        self.below.push(step);
    }

    fn number(&mut self, tree: Id) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(tree).or_insert(next)
    }

    /// A tree that is below so many others, one below the other, if there is one.
    pub(super) fn deeper_than(mut self, most: usize) -> Option<Id> {
        self.below.sort_unstable();
        let mut depths = vec![0_usize; self.numbers.len()];
        let mut awaited = vec![0_u32; self.numbers.len()];
        for (_, tree) in &self.below {
            awaited[*tree as usize] += 1;
        }
        let mut ready: Vec<u32> = (0..)
            .zip(&awaited)
            .filter(|(_, awaited)| **awaited == 0)
            .map(|(tree, _)| tree)
            .collect();
        while let Some(tree) = ready.pop() {
            let depth = depths[tree as usize];
            if depth > most {
                let found = self.numbers.iter().find(|(_, number)| **number == tree);
                return found.map(|(id, _)| *id);
            }
            let first = self.below.partition_point(|(above, _)| *above < tree);
            let steps = self.below[first..].iter();
            for (_, below) in steps.take_while(|(above, _)| *above == tree) {
                let below = *below as usize;
                depths[below] = depths[below].max(depth + 1);
                awaited[below] -= 1;
                if awaited[below] == 0 {
                    ready.push(u32::try_from(below).unwrap_or(u32::MAX));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> Id {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        Id(id)
    }

    #[test]
    fn the_longest_way_counts() {
        let chain = |length| {
            let mut depth = Depth::default();
            for number in 0..length {
                depth.add(id(number), id(number + 1));
                // A short cut makes nothing less deep, and neither does holding something twice.
                depth.add(id(0), id(number + 1));
                depth.add(id(number), id(number + 1));
            }
            depth.deeper_than(100)
        };
        assert_eq!(chain(100), None);
        assert_eq!(chain(101), Some(id(101)));
        assert_eq!(Depth::default().deeper_than(0), None);
    }
}
