//! What can go wrong in the host, in cases that a caller can act on.

use std::fmt;

/// What happened, as far as it decides what a caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The configuration or the command line is wrong.
    Config,
    /// An access was refused: by a grant, the system or a server.
    Denied,
    /// The named thing is not there.
    NotFound,
    /// There is no repository at the place that the sink names.
    NoRepository,
    /// Somebody else holds a lock.
    Locked,
    /// A password, key or credential is wrong.
    Unauthenticated,
    /// Stored data is damaged.
    Corrupt,
    /// A passing fault: the same may succeed later.
    Unavailable,
    /// A plugin cannot do this.
    Unsupported,
    /// The operator interrupted the run.
    Cancelled,
    /// A plugin broke the contract, trapped, or exceeded a limit.
    Plugin,
    /// Anything else.
    Other,
}

/// A failure: what it is, whose it is, and a sentence for the operator.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    /// The source, sink, file or option that the message is about.
    subject: Option<String>,
    message: String,
    help: Option<String>,
}

/// A result with the host's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a sentence that names the thing.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            subject: None,
            message: message.into(),
            help: None,
        }
    }

    /// Says whose failure this is, unless that is known already.
    #[must_use]
    pub fn of(mut self, subject: impl Into<String>) -> Self {
        self.subject.get_or_insert_with(|| subject.into());
        self
    }

    /// Says what the operator can do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same failure, known to be that of a store that does not exist.
    #[must_use]
    pub(crate) fn into_no_repository(mut self) -> Self {
        self.kind = Kind::NoRepository;
        self.help
            .get_or_insert_with(|| "`tthost init` creates a repository".into());
        self
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose failure it is, for example `sink restic-local`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The sentence, without the subject.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the operator can do next.
    pub fn next_step(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The exit code of a program that ends with this error; restic's where it has one.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::NoRepository => 10,
            Kind::Locked => 11,
            Kind::Unauthenticated => 12,
            Kind::Cancelled => 130,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{subject}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
