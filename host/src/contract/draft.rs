//! What a snapshot says of itself, and which part of one is read.

use vec1::Vec1;

use super::{Instant, Invalid, SnapshotId};

/// The description of a new snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// The time of the snapshot.
    pub(crate) time: Instant,
    /// The host of the data.
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) tags: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) mode: WriteMode,
}

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteMode {
    /// Do and report all the work, but store nothing.
    pub(crate) dry_run: bool,
    /// Treat every file as changed, and ask for all contents.
    pub(crate) force: bool,
}

/// The maximum length of a text of a snapshot, in bytes.
const MAX_TEXT_LENGTH: usize = 64 << 10;

/// The maximum number of tags or paths of a snapshot.
const MAX_TEXTS: usize = 1 << 16;

/// Takes over a text of a snapshot, as it is.
pub(crate) fn text(text: String) -> Result<String, Invalid> {
    if text.len() > MAX_TEXT_LENGTH {
        return Err(Invalid::new(format!(
            "a text of a snapshot has {} bytes, and at most {MAX_TEXT_LENGTH} are possible",
            text.len()
        )));
    }
    Ok(text)
}

/// Takes over the tags or the paths of a snapshot, as they are.
pub(crate) fn texts(texts: Vec<String>) -> Result<Vec<String>, Invalid> {
    if texts.len() > MAX_TEXTS {
        return Err(Invalid::new(format!(
            "a snapshot has {} tags or paths, and at most {MAX_TEXTS} are possible",
            texts.len()
        )));
    }
    texts.into_iter().map(text).collect()
}

/// The part of a snapshot to read.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The id of the snapshot.
    pub(crate) snapshot: SnapshotId,
    /// Only entries at or below one of these paths.
    pub(crate) paths: Option<Vec1<Vec<u8>>>,
    /// The number of levels below the paths; by default all.
    pub(crate) levels: Option<u32>,
    /// Skip damage instead of failing.
    pub(crate) skip_damaged: bool,
}

/// The identity of a store.
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
        texts(vec!["x".repeat(MAX_TEXT_LENGTH)]).expect("it is just short enough");
        texts(vec!["x".repeat(MAX_TEXT_LENGTH + 1)]).expect_err("it is too long");
        texts(vec![String::new(); MAX_TEXTS + 1]).expect_err("they are too many");
    }
}
