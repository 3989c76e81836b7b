//! Compares a plugin's file with its pin.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Kind;
use crate::plugin::{self, Origin};
use crate::registry::Digest;

/// How a plugin's bytes stand to its pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// It ships inside this program.
    Bundled,
    /// The file is the pinned one.
    Matches,
    /// The file is another.
    Differs,
    /// There is no such file.
    Missing,
    /// The file cannot be read, or is not a component.
    Unreadable,
    /// Nothing is pinned, so any file is taken.
    None,
}

impl Pin {
    /// Whether a run with it ends before it begins.
    pub fn is_broken(self) -> bool {
        matches!(self, Self::Differs | Self::Missing | Self::Unreadable)
    }
}

/// Compares a plugin's file with its pin, and answers the file's digest besides.
pub fn pin(origin: &Origin) -> (Pin, Option<Digest>) {
    let Origin::File { path, sha256 } = origin else {
        return (Pin::Bundled, None);
    };
    let found = match plugin::read_component(path) {
        Ok(bytes) => Digest::of(&bytes),
        Err(error) if error.kind() == Kind::NotFound => return (Pin::Missing, None),
        Err(_) => return (Pin::Unreadable, None),
    };
    let pin = match sha256 {
        None => Pin::None,
        Some(pin) if Digest::from(*pin) == found => Pin::Matches,
        Some(_) => Pin::Differs,
    };
    (pin, Some(found))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_compared_with_its_pin() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("plugin.wasm");
        let state = |sha256| {
            let path = path.clone();
            pin(&Origin::File { path, sha256 }).0
        };
        let digest = Some(Digest::of(b"bytes").to_bytes());
        assert_eq!(state(digest), Pin::Missing);
        fs::create_dir(&path).expect("there is room");
        assert_eq!(state(digest), Pin::Unreadable);
        fs::remove_dir(&path).expect("it is empty");
        fs::write(&path, "bytes").expect("there is room");
        assert_eq!(state(digest), Pin::Matches);
        assert_eq!(state(None), Pin::None);
        fs::write(&path, "other").expect("there is room");
        assert_eq!(state(digest), Pin::Differs);
        assert_eq!(pin(&Origin::Bundled("restic-sink".into())).0, Pin::Bundled);
    }
}
