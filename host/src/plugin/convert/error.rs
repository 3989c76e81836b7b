//! Between the contract's errors and the host's.

use crate::error::{Error, Kind};
use crate::plugin::bindings::types;
use crate::text::printable;

/// What a plugin reported, as the host's error. The text is not trusted.
pub(crate) fn from_contract(error: types::Error) -> Error {
    let (kind, text) = match error {
        types::Error::Config(text) => (Kind::Config, text),
        types::Error::Denied(text) => (Kind::Denied, text),
        types::Error::NotFound(text) => (Kind::NotFound, text),
        types::Error::Locked(text) => (Kind::Locked, text),
        types::Error::Unauthenticated(text) => (Kind::Unauthenticated, text),
        types::Error::Corrupt(text) => (Kind::Corrupt, text),
        types::Error::Unavailable(text) => (Kind::Unavailable, text),
        types::Error::Unsupported(text) => (Kind::Unsupported, text),
        types::Error::Cancelled(text) => (Kind::Cancelled, text),
        types::Error::Other(text) => (Kind::Other, text),
    };
    Error::new(kind, printable(&text))
}

/// What the host tells a plugin of an error.
pub(crate) fn to_contract(error: &Error) -> types::Error {
    let text = error.to_string();
    match error.kind() {
        Kind::Config => types::Error::Config(text),
        Kind::Denied => types::Error::Denied(text),
        Kind::NotFound | Kind::NoRepository => types::Error::NotFound(text),
        Kind::Locked => types::Error::Locked(text),
        Kind::Unauthenticated => types::Error::Unauthenticated(text),
        Kind::Corrupt => types::Error::Corrupt(text),
        Kind::Unavailable => types::Error::Unavailable(text),
        Kind::Unsupported => types::Error::Unsupported(text),
        Kind::Cancelled => types::Error::Cancelled(text),
        Kind::Plugin | Kind::Other => types::Error::Other(text),
    }
}
