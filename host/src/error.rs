//! The errors of the host, by kinds that a caller can act on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// The exit code of an incomplete command.
pub(crate) const INCOMPLETE: u8 = 3;

/// The kind of an error. Callers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line cannot be parsed.
    Usage,
    /// The configuration is wrong, or the command line does not fit it.
    Config,
    /// An access was refused: by a grant, the system or a server.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The sink has no repository.
    NoRepository,
    /// The thing to be created already exists.
    Exists,
    /// Another program holds a lock.
    Locked,
    /// The thing is in use without a lock.
    Busy,
    /// The password of the store is wrong.
    Unauthenticated,
    /// Stored data is damaged.
    Corrupt,
    /// The disk, the quota or the bucket is full.
    NoSpace,
    /// The location is read-only.
    ReadOnly,
    /// A temporary fault: a retry may succeed.
    Unavailable,
    /// The plugin does not support this.
    Unsupported,
    /// The operator interrupted the run.
    Cancelled,
    /// A plugin broke the contract, trapped, or exceeded a limit.
    Plugin,
    /// Anything else.
    Other,
}

impl Kind {
    /// The table of all kinds: the code in reports, and the exit code of a program that ends with
    /// such an error, which is restic's where it has one. Codes are stable; docs/ explains each.
    const fn codes(self) -> (&'static str, u8) {
        match self {
            Self::Usage => ("usage", 2),
            Self::Config => ("config", 1),
            Self::Denied => ("denied", 1),
            Self::NotFound => ("not-found", 1),
            Self::NoRepository => ("no-repository", 10),
            Self::Exists => ("exists", 1),
            Self::Locked => ("locked", 11),
            Self::Busy => ("busy", 1),
            Self::Unauthenticated => ("unauthenticated", 12),
            Self::Corrupt => ("corrupt", 1),
            Self::NoSpace => ("no-space", 1),
            Self::ReadOnly => ("read-only", 1),
            Self::Unavailable => ("unavailable", 1),
            Self::Unsupported => ("unsupported", 1),
            Self::Cancelled => ("cancelled", 130),
            Self::Plugin => ("plugin", 1),
            Self::Other => ("other", 1),
        }
    }

    /// The kind of a system error.
    pub(crate) fn of_system(cause: &io::Error) -> Self {
        match cause.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy => Self::Busy,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Other,
        }
    }

    /// The stable code in JSON.
    pub const fn code(self) -> &'static str {
        self.codes().0
    }

    /// The exit code of a program that ends with such an error.
    pub const fn exit_code(self) -> u8 {
        self.codes().1
    }
}

/// An error: its kind, its subject, a sentence for the operator, and its cause.
///
/// `{}` shows the sentence, `{:#}` adds its causes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(into = "Document")]
#[schemars(with = "Document", description = "Why something failed.")]
pub struct Error {
    kind: Kind,
    /// The source, sink, file or option that the message is about.
    subject: Option<String>,
    message: String,
    help: Option<String>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
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
            cause: None,
        }
    }

    /// A system error. It decides the kind and the next step.
    pub(crate) fn of_system(message: impl Into<String>, cause: io::Error) -> Self {
        let kind = Kind::of_system(&cause);
        let error = Self::new(kind, message).caused_by(cause);
        match kind {
            Kind::NoSpace => error.help("make room there"),
            Kind::ReadOnly => error.help("mount its file system for writing"),
            _ => error,
        }
    }

    /// Sets the subject, unless it is set already.
    #[must_use]
    pub fn of(mut self, subject: impl Into<String>) -> Self {
        self.subject.get_or_insert_with(|| subject.into());
        self
    }

    /// Adds the location, unless the message contains it.
    #[must_use]
    pub(crate) fn at(mut self, place: &str) -> Self {
        if !self.message.contains(place) {
            self.message = format!("{} (in {place})", self.message);
        }
        self
    }

    /// Sets the next step for the operator.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
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

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The subject, for example `sink restic-local`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The sentence with its causes, without the subject.
    pub fn message(&self) -> String {
        let mut message = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }

    /// The next step for the operator.
    pub fn next_step(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        if f.alternate() {
            f.write_str(&self.message())
        } else {
            f.write_str(&self.message)
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}

/// An error in a report.
#[derive(Serialize, JsonSchema)]
struct Document {
    /// The stable code.
    code: &'static str,
    /// The source, sink or file that failed, for example `sink offsite`.
    subject: Option<String>,
    /// The sentence with its causes.
    message: String,
    /// The next step.
    help: Option<String>,
    /// The exit code of a command that ends with this error.
    exit_code: u8,
}

impl From<Error> for Document {
    fn from(error: Error) -> Self {
        Self {
            code: error.kind.code(),
            message: error.message(),
            exit_code: error.kind.exit_code(),
            subject: error.subject,
            help: error.help,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_kept_and_shown_once() {
        let cause = io::Error::other("the disk is on fire");
        let error = Error::new(Kind::Denied, "a.toml cannot be read")
            .caused_by(cause)
            .of("sink local");
        assert_eq!(error.to_string(), "sink local: a.toml cannot be read");
        let full = "sink local: a.toml cannot be read: the disk is on fire";
        assert_eq!(format!("{error:#}"), full);
        let source = std::error::Error::source(&error).expect("it has one");
        assert_eq!(source.to_string(), "the disk is on fire");
    }

    #[test]
    fn an_error_of_the_system_has_its_kind_and_a_next_step() {
        for (number, code, helps) in [
            (libc::EDQUOT, "no-space", true),
            (libc::ENOSPC, "no-space", true),
            (libc::EROFS, "read-only", true),
            (libc::EACCES, "denied", false),
            (libc::EPERM, "denied", false),
            (libc::ENOENT, "not-found", false),
            (libc::EBUSY, "busy", false),
            (libc::EIO, "other", false),
        ] {
            let error = Error::of_system("it", io::Error::from_raw_os_error(number));
            assert_eq!(error.kind().code(), code);
            assert_eq!(error.next_step().is_some(), helps, "{code}");
        }
    }

    #[test]
    fn in_a_report_an_error_has_its_code_and_all_that_the_operator_is_told() {
        let error = Error::new(Kind::NoRepository, "there is none").help("make one");
        let report = serde_json::to_value(&error).expect("it is JSON");
        let expected = serde_json::json!({
            "code": "no-repository",
            "subject": null,
            "message": "there is none",
            "help": "make one",
            "exit_code": 10,
        });
        assert_eq!(report, expected);
    }

    #[test]
    fn the_codes_are_documented() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
        let pages: String = std::fs::read_dir(docs)
            .expect("there are pages")
            .filter_map(|page| std::fs::read_to_string(page.ok()?.path()).ok())
            .collect();
        for kind in [
            Kind::Usage,
            Kind::Config,
            Kind::Denied,
            Kind::NotFound,
            Kind::NoRepository,
            Kind::Exists,
            Kind::Locked,
            Kind::Busy,
            Kind::Unauthenticated,
            Kind::Corrupt,
            Kind::NoSpace,
            Kind::ReadOnly,
            Kind::Unavailable,
            Kind::Unsupported,
            Kind::Cancelled,
            Kind::Plugin,
            Kind::Other,
        ] {
            let row = format!("| `{}` | {} |", kind.code(), kind.exit_code());
            assert!(pages.contains(&row), "no page has the row {row}");
        }
    }
}
