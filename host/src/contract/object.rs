//! Objects of a store: their names, and what is known of them.

use std::fmt;
use std::ops::Deref;

use super::{Instant, Invalid};
use crate::text::printable;

/// The maximum length of a name, in bytes.
const MAX_LENGTH: usize = 200;

/// The maximum length of a part of a name, in bytes.
const MAX_PART_LENGTH: usize = 100;

/// The name of an object: parts of lower-case letters, digits, `.`, `_` and `-`, with a `/` between two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectName(String);

impl ObjectName {
    /// Takes over a name.
    pub(crate) fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        let name = name.into();
        let is_usual = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let is_part = |part: &str| {
            (1..=MAX_PART_LENGTH).contains(&part.len())
                && !part.starts_with('.')
                && part.bytes().all(is_usual)
        };
        if name.len() > MAX_LENGTH || !name.split('/').all(is_part) {
            let text = format!("no object can have the name \"{}\"", printable(&name));
            return Err(Invalid::new(text));
        }
        Ok(Self(name))
    }

    /// A prefix of object names; none for all objects.
    pub(crate) fn prefix(prefix: String) -> Result<Option<Self>, Invalid> {
        Some(prefix)
            .filter(|prefix| !prefix.is_empty())
            .map(Self::new)
            .transpose()
    }

    /// Whether it is below a prefix.
    pub(crate) fn is_below(&self, prefix: &Self) -> bool {
        let rest = self.0.strip_prefix(&prefix.0);
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Deref for ObjectName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A part of an object: at least one byte, and not beyond the largest object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectPart {
    /// In bytes.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) length: u64,
}

impl ObjectPart {
    /// A part of so many bytes from `offset` on.
    pub(crate) fn new(offset: u64, length: u64) -> Result<Self, Invalid> {
        if length == 0 || offset.checked_add(length).is_none() {
            let text = format!("no object has a part of {length} bytes from {offset} on");
            return Err(Invalid::new(text));
        }
        Ok(Self { offset, length })
    }
}

/// What happens to an existing object with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// The new object replaces it.
    Replaced,
    /// It stays, and the new object is refused.
    Kept,
}

/// An existing object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) name: ObjectName,
    /// In bytes.
    pub(crate) size: u64,
}

/// The properties of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectStat {
    /// In bytes.
    pub(crate) size: u64,
    /// When it was stored, if known.
    pub(crate) stored: Option<Instant>,
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct ObjectPage {
    pub(crate) objects: Vec<Object>,
    /// The token for the next page.
    pub(crate) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else_on_any_storage() {
        let longest = format!(
            "{0}/{1}",
            "x".repeat(MAX_PART_LENGTH),
            "y".repeat(MAX_LENGTH - MAX_PART_LENGTH - 1)
        );
        for name in ["config", "data/0a/0a1b", "keys/a-b_c.d", &longest] {
            ObjectName::new(name).expect(name);
        }
        let part = "x".repeat(MAX_PART_LENGTH + 1);
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            ".a",
            "a/.b",
            "A",
            "a b",
            "a\\b",
            "a:b",
            "a\nb",
            "a?b",
            "a%b",
            "ü",
            &part,
            &format!("{longest}y"),
        ] {
            ObjectName::new(name).expect_err(name);
        }
    }

    #[test]
    fn a_prefix_ends_with_a_part() {
        let name = ObjectName::new("data/0a/0a1b").expect("it is one");
        for (prefix, is_below) in [
            ("data", true),
            ("data/0a", true),
            ("data/0", false),
            ("data/0a/0a1b", false),
        ] {
            let prefix = ObjectName::new(prefix).expect("it is one");
            assert_eq!(name.is_below(&prefix), is_below, "{prefix}");
        }
    }

    #[test]
    fn a_part_has_bytes_and_an_end() {
        assert!(ObjectPart::new(0, 0).is_err());
        assert!(ObjectPart::new(u64::MAX, 1).is_err());
        assert!(ObjectPart::new(u64::MAX - 1, 1).is_ok());
    }
}
