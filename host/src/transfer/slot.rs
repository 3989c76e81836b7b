//! A writer in a transfer, until it fails or the transfer abandons it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::pace::{Pace, Wait};
use super::{Outcome, TransferWriter, Writer};
use crate::contract::Completeness;
use crate::error::{Error, Result};
use crate::pipe::Backlog;

/// A writer, or why it dropped out.
pub(super) struct Slot {
    /// None when it dropped out and was let go.
    writer: Option<Box<dyn Writer>>,
    required: bool,
    max_lag: Duration,
    pace: Arc<Pace>,
    /// How long the others waited for it.
    waited: Wait,
    end: OnceLock<End>,
}

/// Why a writer dropped out.
enum End {
    Failed(Error),
    Behind,
}

impl Slot {
    pub(super) fn new(writer: TransferWriter, pace: Arc<Pace>) -> Self {
        Self {
            writer: Some(writer.writer),
            required: writer.required,
            max_lag: writer.max_lag,
            pace,
            waited: writer.waited,
            end: OnceLock::new(),
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.end.get().is_some()
    }

    /// Lets the writer do something that it does alone. An error makes it drop out at once.
    pub(super) async fn work<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut dyn Writer) -> Result<T>,
    ) -> Option<T> {
        let mut writer = self.writer.take()?;
        let done = self.in_step(|| false, work(&mut *writer)).await;
        let done = done.map_err(|end| self.drop_out(end)).ok();
        if !self.is_out() {
            self.writer = Some(writer);
        }
        done
    }

    /// Lets the writer take contents, which it can do several times at once. The first error makes
    /// it drop out; [`Self::let_go`] drops it.
    pub(super) async fn take(
        &self,
        backlog: Backlog,
        work: impl AsyncFnOnce(&dyn Writer) -> Result<()>,
    ) {
        let Some(writer) = self.writer.as_deref() else {
            return;
        };
        let holds_up = || backlog.holds_up();
        if let Err(end) = self.in_step(holds_up, work(writer)).await {
            backlog.abandon();
            self.drop_out(end);
        }
    }

    /// Drops a writer that dropped out.
    pub(super) fn release(&mut self) {
        if self.is_out() {
            self.writer = None;
        }
    }

    /// Lets the writer make the tree permanent. One that takes too long for the others goes on
    /// without them.
    pub(super) async fn commit(mut self, completeness: Completeness) -> Outcome {
        let Some(writer) = self.writer.take() else {
            return match self.end.into_inner() {
                Some(End::Failed(error)) => Outcome::Done(Err(error)),
                Some(End::Behind) | None => Outcome::Behind,
            };
        };
        let mut commit = writer.commit(completeness);
        match self
            .in_step(|| false, async { Ok((&mut commit).await) })
            .await
        {
            Ok(receipt) => Outcome::Done(receipt),
            Err(_) => Outcome::Committing(commit),
        }
    }

    /// Does work of the writer. One that is not required is left behind when the others wait for it
    /// for too long.
    async fn in_step<T>(
        &self,
        holds_up: impl Fn() -> bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T, End> {
        if self.required {
            return self.pace.set_by(work).await.map_err(End::Failed);
        }
        tokio::select! {
            biased;
            done = work => done.map_err(End::Failed),
            () = self.pace.outrun(self.max_lag, &self.waited, holds_up) => Err(End::Behind),
        }
    }

    fn drop_out(&self, end: End) {
        // What goes wrong after the first failure follows from it.
        if self.end.set(end).is_ok() && self.required {
            self.pace.remove_required();
        }
    }
}
