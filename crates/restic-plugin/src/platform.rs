//! The platform of a repository: its files and the host.

use std::time::SystemTime;

use restic_repo::{
    Access, Backend, Environment, Error as RepoError, FileKind, Id, Instant, Listed, Result,
};
use wasip3::clocks::monotonic_clock::wait_for;

use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::{leftovers, progress};
use crate::convert::repository_error;

/// The repository's files, and the host's services.
#[derive(Clone)]
pub(crate) struct Platform<B> {
    pub(crate) files: B,
    /// The host denies all changes.
    pub(crate) is_read_only: bool,
}

impl<B: Backend> Environment for Platform<B> {
    fn now(&self) -> Instant {
        now()
    }

    fn random(&self, bytes: &mut [u8]) {
        random(bytes);
    }

    fn progress(&self, what: &str, done: u64, total: u64) {
        progress::report(what, done, Some(total));
    }

    fn warn(&self, text: &str) {
        log(Level::Warn, text);
    }

    async fn sleep(&self, seconds: u64) {
        wait_for(seconds.saturating_mul(1_000_000_000)).await;
    }

    async fn note(&self, name: &str) {
        note(name).await;
    }

    async fn clear(&self, name: &str) {
        clear(name).await;
    }

    fn is_gone(&self, process: u32) -> bool {
        leftovers::is_gone(process)
    }

    async fn left(&self) -> Vec<String> {
        leftovers::left().await
    }
}

impl<B: Backend> Backend for Platform<B> {
    fn access(&self) -> Access {
        match self.files.access() {
            // With write-only credentials, only copies are read.
            Access::WriteOnly => Access::WriteOnly,
            _ if self.is_read_only => Access::ReadOnly,
            access => access,
        }
    }

    fn place(&self) -> Option<String> {
        self.files.place()
    }

    fn distrust_copies(&self) {
        self.files.distrust_copies();
    }

    fn writers(&self) -> usize {
        self.files.writers()
    }

    async fn create_layout(&self) -> Result<()> {
        self.files.create_layout().await
    }

    async fn exists(&self) -> Result<bool> {
        self.files.exists().await
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        self.files.list(kind).await
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        self.files.read(kind, id).await
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        self.files.read_range(kind, id, offset, length).await
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        self.files.write(kind, id, bytes).await
    }

    async fn write_pack(&self, kind: FileKind, id: Id, pieces: Vec<Vec<u8>>) -> Result<()> {
        self.files.write_pack(kind, id, pieces).await
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.files.remove(kind, id).await
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        self.files.length(kind, id).await
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        self.files.stored(kind, id).await
    }
}

/// Notes a file that will be created and removed again.
pub async fn note(name: &str) {
    match leftovers::note(name.into()).await.map_err(repository_error) {
        // Read-only access leaves nothing behind.
        Ok(()) | Err(RepoError::ReadOnly(_)) => {}
        Err(cause) => {
            let text = format!("should this run be cut off, {name} stays behind: {cause}");
            log(Level::Warn, &text);
        }
    }
}

/// Deletes the note.
pub async fn clear(name: &str) {
    if let Err(cause) = leftovers::clear(name.into())
        .await
        .map_err(repository_error)
    {
        log(Level::Debug, &format!("{name} is removed twice: {cause}"));
    }
}

/// The time.
pub fn now() -> Instant {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Instant {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}

/// Fills a buffer with random bytes.
pub fn random(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        let wanted = bytes.len() - filled;
        // The host may return fewer bytes than requested.
        let some = wasip3::random::random::get_random_bytes(wanted as u64);
        let count = some.len().min(wanted);
        bytes[filled..filled + count].copy_from_slice(&some[..count]);
        filled += count;
    }
}
