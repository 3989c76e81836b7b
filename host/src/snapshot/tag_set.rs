//! A set of tags that a snapshot must have.

use std::convert::Infallible;
use std::str::FromStr;

/// Tags that a snapshot has together. They are written with commas between them. The empty set
/// stands for snapshots without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSet(Vec<String>);

impl TagSet {
    /// Whether a snapshot with these tags is meant.
    pub(crate) fn is_in(&self, tags: &[String]) -> bool {
        if self.0.is_empty() {
            tags.is_empty()
        } else {
            self.0.iter().all(|tag| tags.contains(tag))
        }
    }
}

impl FromStr for TagSet {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let tags = text.split(',').map(str::trim);
        let tags = tags.filter(|tag| !tag.is_empty());
        Ok(Self(tags.map(str::to_owned).collect()))
    }
}
