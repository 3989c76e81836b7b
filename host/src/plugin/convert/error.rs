//! Converts between the contract's errors and the host's.

use crate::error::{Error, Kind};
use crate::plugin::bindings::types;
use crate::text::printable;

/// What a plugin reported, as the host's error. The text is not trusted.
pub(crate) fn from_contract(error: types::Error) -> Error {
    let (kind, text) = match error {
        types::Error::Config(text) => (Kind::Config, text),
        types::Error::Denied(text) => (Kind::Denied, text),
        types::Error::NotFound(text) => (Kind::NotFound, text),
        types::Error::Exists(text) => (Kind::Exists, text),
        types::Error::Locked(text) => (Kind::Locked, text),
        types::Error::Busy(text) => (Kind::Busy, text),
        types::Error::Unauthenticated(text) => (Kind::Unauthenticated, text),
        types::Error::Corrupt(text) => (Kind::Corrupt, text),
        types::Error::NoSpace(text) => (Kind::NoSpace, text),
        types::Error::ReadOnly(text) => (Kind::ReadOnly, text),
        types::Error::Unavailable(text) => (Kind::Unavailable, text),
        types::Error::Unsupported(text) => (Kind::Unsupported, text),
        types::Error::Cancelled(text) => (Kind::Cancelled, text),
        types::Error::Other(text) => (Kind::Other, text),
    };
    let error = Error::new(kind, printable(&text));
    match next_step(kind) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// What an operator can do about a failure that is the same in every plugin.
fn next_step(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Busy => Some("run it again when nobody uses it"),
        Kind::NoSpace => {
            Some("make room; `tthost prune` removes snapshots that the retention does not keep")
        }
        Kind::ReadOnly => {
            Some("grant it with access = \"read-write\", or mount its file system for writing")
        }
        _ => None,
    }
}

/// What the host tells a plugin of an error.
pub(crate) fn to_contract(error: &Error) -> types::Error {
    let text = format!("{error:#}");
    match error.kind() {
        Kind::Config => types::Error::Config(text),
        Kind::Denied => types::Error::Denied(text),
        Kind::NotFound | Kind::NoRepository => types::Error::NotFound(text),
        Kind::Exists => types::Error::Exists(text),
        Kind::Locked => types::Error::Locked(text),
        Kind::Busy => types::Error::Busy(text),
        Kind::Unauthenticated => types::Error::Unauthenticated(text),
        Kind::Corrupt => types::Error::Corrupt(text),
        Kind::NoSpace => types::Error::NoSpace(text),
        Kind::ReadOnly => types::Error::ReadOnly(text),
        Kind::Unavailable => types::Error::Unavailable(text),
        Kind::Unsupported => types::Error::Unsupported(text),
        Kind::Cancelled => types::Error::Cancelled(text),
        Kind::Usage | Kind::Plugin | Kind::Other => types::Error::Other(text),
    }
}
