//! The place of a writer in a transfer: it is there until it fails.

use std::sync::OnceLock;

use super::Writer;
use crate::error::{Error, Result};

/// A writer, or why it dropped out.
pub(super) struct Slot {
    /// None when it failed and was let go.
    writer: Option<Box<dyn Writer>>,
    failure: OnceLock<Error>,
}

impl Slot {
    pub(super) fn new(writer: Box<dyn Writer>) -> Self {
        Self {
            writer: Some(writer),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// Lets the writer do something that it does alone. An error makes it drop out at once.
    pub(super) async fn work<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut dyn Writer) -> Result<T>,
    ) -> Option<T> {
        let writer = self.writer.as_deref_mut()?;
        let done = work(writer).await.map_err(|error| self.fail(error)).ok();
        self.let_go();
        done
    }

    /// Lets the writer do something that it can do several times at once. The first error makes
    /// it drop out; [`Self::let_go`] drops it.
    pub(super) async fn share(&self, work: impl AsyncFnOnce(&dyn Writer) -> Result<()>) {
        let Some(writer) = self.writer.as_deref() else {
            return;
        };
        if let Err(error) = work(writer).await {
            self.fail(error);
        }
    }

    /// Drops a writer that failed.
    pub(super) fn let_go(&mut self) {
        if self.has_failed() {
            self.writer = None;
        }
    }

    /// The writer, or why there is none.
    pub(super) fn into_writer(self) -> Result<Box<dyn Writer>> {
        match (self.writer, self.failure.into_inner()) {
            (Some(writer), None) => Ok(writer),
            (_, Some(error)) => Err(error),
            (None, None) => unreachable!("a writer is let go only when it failed"),
        }
    }

    fn fail(&self, error: Error) {
        // What goes wrong after the first failure follows from it.
        let _ = self.failure.set(error);
    }
}
