//! Tells the loss of one file from the loss of the whole repository.
//!
//! A bad sector, a file without read permission and an object that a server withholds are damage of one file, and work goes on
//! without it. A disk that is gone, a server that does not answer and credentials that were revoked stop all work. A storage
//! reports the same errors for both. So an error is followed by a read of the config: if that succeeds, only the one file is
//! lost.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;

use crate::backend::CONFIG;
use crate::error::corrupt;
use crate::{Access, Error, FileKind, Id, Instant, Listed, Platform, Result};

/// Reads single files of a platform. The loss of one file is [`Error::Corrupt`]. Any other error concerns the whole repository.
/// Everything else goes straight to the platform.
pub(crate) struct Isolating<P> {
    platform: P,
    /// Files that the storage gave up on. That takes long, so they are not read again.
    given_up: RefCell<HashMap<Id, Error>>,
}

impl<P> Deref for Isolating<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.platform
    }
}

impl<P: Platform> Isolating<P> {
    pub(crate) fn new(platform: P) -> Self {
        Self {
            platform,
            given_up: RefCell::default(),
        }
    }

    /// A file, whole.
    pub(crate) async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        let ask = async || self.platform.read(kind, id).await;
        self.ask(kind, id, ask).await
    }

    /// Part of a file.
    pub(crate) async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let ask = async || self.platform.read_range(kind, id, offset, length).await;
        self.ask(kind, id, ask).await
    }

    /// The length of a file, none when it is not there.
    pub(crate) async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let ask = async || self.platform.length(kind, id).await;
        self.ask(kind, id, ask).await
    }

    /// When a file was stored.
    pub(crate) async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        let ask = async || self.platform.stored(kind, id).await;
        self.ask(kind, id, ask).await
    }

    /// Stores a file, and asks whether it is there.
    pub(crate) async fn store(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        let length = bytes.len() as u64;
        self.platform.write(kind, id, bytes).await?;
        self.confirm(kind, Listed { id, length }).await
    }

    /// Whether a file that was stored is there. What has not been seen there is nothing that
    /// others may refer to.
    pub(crate) async fn confirm(&self, kind: FileKind, stored: Listed) -> Result<()> {
        if self.platform.access() == Access::WriteOnly {
            return Ok(());
        }
        if self.length(kind, stored.id).await? == Some(stored.length) {
            return Ok(());
        }
        let name = match kind {
            FileKind::Config => kind.to_string(),
            _ => format!("{kind} {}", stored.id.short()),
        };
        Err(Error::Unavailable(format!(
            "the {name} was stored and is not there: the store loses what it is given, or somebody else removes \
             things; run it again"
        )))
    }

    /// Whether the repository can be read at all, after an error that may be one of everything.
    pub(crate) async fn is_isolated(&self, error: &Error) -> bool {
        may_be_of_one(error) && self.platform.read(FileKind::Config, CONFIG).await.is_ok()
    }

    /// Reads from a file, and reads again if only this file failed, in case the fault has passed.
    async fn ask<T>(&self, kind: FileKind, id: Id, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        if let Some(error) = self.given_up.borrow().get(&id) {
            return Err(error.clone());
        }
        let first = match ask().await {
            Err(error) if kind != FileKind::Config && self.is_isolated(&error).await => ask().await,
            asked => return asked,
        };
        match first {
            Err(error) if may_be_of_one(&error) => {
                let lost = corrupt(error.to_string());
                if matches!(error, Error::Unavailable(_)) {
                    self.given_up.borrow_mut().insert(id, lost.clone());
                }
                Err(lost)
            }
            asked => asked,
        }
    }
}

/// Whether an error can be one of a single file.
fn may_be_of_one(error: &Error) -> bool {
    matches!(
        error,
        Error::Denied(_) | Error::Busy(_) | Error::Unavailable(_) | Error::Other(_)
    )
}
