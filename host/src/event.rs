//! What the library tells while it works. It decides nothing: [`crate::cli`] shows it,
//! a test collects it.

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd, and the operator should know.
    Warn,
    /// Worth knowing.
    Info,
    /// Worth knowing when looking for a fault.
    Debug,
}

/// Receives what happens, as it happens, from several tasks at once.
pub trait Events: Send + Sync {
    /// A message of a plugin (named by its subject, `source postgres`) or of the host.
    /// Control characters have been made visible.
    fn log(&self, subject: &str, level: Level, message: &str);

    /// A change that a dry run would make, for example `create srv/uploads/a.jpg`.
    fn planned(&self, change: &str);

    /// A transfer has taken this many bytes and files from its reader so far.
    fn transferred(&self, files: u64, bytes: u64);

    /// A plugin's own account of a long operation: `done` of `total` of `what`.
    fn progress(&self, subject: &str, what: &str, done: u64, total: Option<u64>);
}

/// Hears nothing.
pub(crate) struct Silent;

impl Events for Silent {
    fn log(&self, _: &str, _: Level, _: &str) {}
    fn planned(&self, _: &str) {}
    fn transferred(&self, _: u64, _: u64) {}
    fn progress(&self, _: &str, _: &str, _: u64, _: Option<u64>) {}
}
