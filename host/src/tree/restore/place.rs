//! Where something is below the root of a tree.

use std::ffi::{OsStr, OsString};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

/// A place below the root, or the root. Places in one directory share what leads there: a path has thousands of names in the
/// deepest trees, and each of their files has one.
#[derive(Clone, Default)]
pub(super) struct Place(Option<Arc<Step>>);

struct Step {
    above: Place,
    name: OsString,
}

impl Place {
    /// What has this name in a directory at this place.
    pub(super) fn below(&self, name: &OsStr) -> Self {
        Self(Some(Arc::new(Step {
            above: self.clone(),
            name: name.to_owned(),
        })))
    }

    /// Its path below the root.
    pub(super) fn path(&self) -> PathBuf {
        let mut names = Vec::new();
        let mut place = self;
        while let Some(step) = &place.0 {
            names.push(&*step.name);
            place = &step.above;
        }
        names.into_iter().rev().collect()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // One after the other: each in the end of the one before would take a stack.
        let mut above = mem::take(&mut self.above);
        while let Some(mut step) = above.0.and_then(Arc::into_inner) {
            above = mem::take(&mut step.above);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_the_root_to_the_place() {
        let root = Place::default();
        let place = root.below(OsStr::new("a")).below(OsStr::new("b"));
        assert_eq!(place.path(), PathBuf::from("a/b"));
        assert_eq!(root.path(), PathBuf::new());
    }

    #[test]
    fn a_place_goes_however_deep_it_is() {
        let mut place = Place::default();
        for _ in 0..1_000_000 {
            place = place.below(OsStr::new("a"));
        }
        drop(place);
    }
}
