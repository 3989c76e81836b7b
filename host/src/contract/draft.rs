//! What a snapshot says of itself, and which part of one is read.

use vec1::Vec1;

use super::{Instant, Invalid, SnapshotId};

/// A snapshot before its tree is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// The time that the snapshot bears.
    pub(crate) time: Instant,
    /// The host whose data this is.
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) tags: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) mode: WriteMode,
}

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteMode {
    /// Do all the work and report it, store nothing.
    pub(crate) dry_run: bool,
    /// Take no file for unchanged: ask for all contents.
    pub(crate) force: bool,
}

/// The longest text of a snapshot, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

/// The most tags or paths of a snapshot.
const MOST_TEXTS: usize = 1 << 16;

/// Takes over a text of a snapshot, as it is.
pub(crate) fn text(text: String) -> Result<String, Invalid> {
    if text.len() > LONGEST_TEXT {
        return Err(Invalid::new(format!(
            "a text of a snapshot has {} bytes, and at most {LONGEST_TEXT} are possible",
            text.len()
        )));
    }
    Ok(text)
}

/// Takes over the tags or the paths of a snapshot, as they are.
pub(crate) fn texts(texts: Vec<String>) -> Result<Vec<String>, Invalid> {
    if texts.len() > MOST_TEXTS {
        return Err(Invalid::new(format!(
            "a snapshot has {} tags or paths, and at most {MOST_TEXTS} are possible",
            texts.len()
        )));
    }
    texts.into_iter().map(text).collect()
}

/// Which part of a snapshot to read.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The id of the snapshot.
    pub(crate) snapshot: SnapshotId,
    /// Only what is at or below one of these paths.
    pub(crate) paths: Option<Vec1<Vec<u8>>>,
    /// How many levels below the paths are read; all where there is none.
    pub(crate) levels: Option<u32>,
    /// Leave out what is damaged, instead of failing.
    pub(crate) skip_damaged: bool,
}

/// A store that exists.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Identity {
    /// The store's own id.
    pub id: String,
    /// The version of its format.
    #[serde(rename = "format_version")]
    pub version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_neither_long_nor_many() {
        texts(vec!["x".repeat(LONGEST_TEXT)]).expect("it is just short enough");
        texts(vec!["x".repeat(LONGEST_TEXT + 1)]).expect_err("it is too long");
        texts(vec![String::new(); MOST_TEXTS + 1]).expect_err("they are too many");
    }
}
