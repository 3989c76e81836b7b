//! The errors of a repository, with the cases of the plugin contract.

/// A failure, with one sentence for the operator that names the thing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// An access was refused.
    #[error("{0}")]
    Denied(String),
    /// The named thing is not there.
    #[error("{0}")]
    NotFound(String),
    /// The thing that should be made is there already.
    #[error("{0}")]
    Exists(String),
    /// Somebody else holds a lock.
    #[error("{0}")]
    Locked(String),
    /// Somebody uses the thing.
    #[error("{0}")]
    Busy(String),
    /// The password is wrong.
    #[error("{0}")]
    Unauthenticated(String),
    /// Stored data is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// There is no room.
    #[error("{0}")]
    NoSpace(String),
    /// The place may be read and not written.
    #[error("{0}")]
    ReadOnly(String),
    /// The same may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The repository needs what this program does not have.
    #[error("{0}")]
    Unsupported(String),
    /// It was given up on request.
    #[error("{0}")]
    Cancelled(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A result with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Shortens the most frequent case.
pub(crate) fn corrupt(text: impl Into<String>) -> Error {
    Error::Corrupt(text.into())
}
