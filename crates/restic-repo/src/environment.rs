//! The environment of the program that uses a repository: time, randomness and messages.

use crate::{Backend, Instant, Sealer};

/// Who uses the repository, for locks and snapshots.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Name and version of the program.
    pub program: String,
    /// The machine.
    pub hostname: String,
    /// The user.
    pub username: String,
    /// The process.
    pub process_id: u32,
    /// The user's number.
    pub user_id: u32,
    /// The group's number.
    pub group_id: u32,
}

/// The time, random numbers, somebody to tell how far things have come, and somebody who remembers what has to be removed.
pub trait Environment {
    /// Now.
    fn now(&self) -> Instant;

    /// Fills with bytes that nobody can foresee.
    fn random(&self, bytes: &mut [u8]);

    /// `done` of `total` of `what` are through.
    fn progress(&self, what: &str, done: u64, total: u64);

    /// Tells the operator something that does not end the work.
    fn warn(&self, text: &str);

    /// Waits so many seconds.
    async fn sleep(&self, seconds: u64);

    /// Writes down the name of something that is about to be stored, and is going to be removed again.
    async fn note(&self, name: &str);

    /// What has this name is gone.
    async fn clear(&self, name: &str);

    /// Whether no process with this number runs on this machine any more; no, where that cannot be known.
    fn is_gone(&self, process: u32) -> bool;

    /// The names that were written down by processes that are gone.
    async fn left(&self) -> Vec<String>;
}

/// All that a repository stands on.
pub trait Platform: Backend + Sealer + Environment + 'static {}

impl<T: Backend + Sealer + Environment + 'static> Platform for T {}
