//! Late sinks: required sinks did not wait for them. After all sources, they get the snapshots from another sink.

use futures::future::BoxFuture;

use super::allowance::{Allowance, TakenBytes};
use super::confirmation::confirm;
use super::copy::copy_one;
use super::run::{Capture, Plan};
use super::snapshot::pick;
use super::task::Task;
use super::{Context, Receipt, SnapshotRef, open};
use crate::contract::SnapshotId;
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

/// The remaining work of a late sink for a source.
pub(super) enum Late {
    /// Its repository is being opened.
    Opening(Task<Repository>),
    /// It was left behind, and its repository is being closed.
    Behind(Task<()>),
    /// It has everything, and makes it permanent.
    Committing(Task<Receipt>),
    /// It was late for a source before this one.
    Before,
}

impl Late {
    /// A sink that was left behind.
    pub(super) fn behind(repository: Repository) -> Self {
        Self::Behind(Task::start(async move {
            repository.close().await;
            Ok(())
        }))
    }

    /// A sink that commits a snapshot.
    pub(super) fn committing(
        commit: BoxFuture<'static, Result<Receipt>>,
        repository: Repository,
    ) -> Self {
        Self::Committing(Task::start(async move {
            let receipt = commit.await;
            repository.close().await;
            receipt
        }))
    }

    /// The error of a late sink that never started.
    pub(super) fn interrupted() -> Error {
        Error::new(Kind::Cancelled, "it was late, and the run was interrupted")
    }
}

/// A sink that catches up.
pub(super) struct CatchUp<'a> {
    context: &'a Context,
    spec: &'a Spec,
    allowance: Allowance,
    /// Its repository, once that was opened.
    repository: Option<Result<Repository>>,
}

impl<'a> CatchUp<'a> {
    pub(super) fn new(context: &'a Context, spec: &'a Spec, allowance: Allowance) -> Self {
        Self {
            context,
            spec,
            allowance,
            repository: None,
        }
    }

    /// Takes over a repository that is being opened, so that [`Self::close`] closes it. An interruption ends
    /// the opening by itself.
    pub(super) async fn take_over(&mut self, late: &mut Late) {
        if let Late::Opening(opening) = late {
            self.repository = Some(end(&mut self.allowance, opening).await);
            *late = Late::Before;
        }
    }

    /// Does what the sink has yet to do for a source, and looks whether it did. Answers its receipt, and the sink that the
    /// snapshot was copied from where it was.
    pub(super) async fn catch_up(
        &mut self,
        plan: &Plan,
        late: Late,
        capture: &Capture,
    ) -> Result<(Receipt, Option<String>)> {
        let (receipt, origin) = match late {
            Late::Committing(mut commit) => (end(&mut self.allowance, &mut commit).await?, None),
            Late::Behind(_) | Late::Opening(_) | Late::Before => {
                if let Late::Behind(mut closing) = late {
                    end(&mut self.allowance, &mut closing).await?;
                }
                let (origin, id) = find_origin(plan, capture)?;
                let receipt = self.copy(origin, id).await?;
                (receipt, Some(origin.name.clone()))
            }
        };
        let confirming = confirm(self.context, self.spec, receipt, capture.time);
        Ok((self.allowance.spend(confirming).await?, origin))
    }

    /// Copies a snapshot from another sink.
    async fn copy(&mut self, origin: &Spec, id: &SnapshotId) -> Result<Receipt> {
        let opened = if let Some(opened) = self.repository.take() {
            opened
        } else {
            let opening = open(self.context, self.spec, Access::ReadWrite);
            self.allowance.spend(opening).await
        };
        let to = self.repository.insert(opened);
        let to = to.as_ref().map_err(Clone::clone)?;
        let from = open(self.context, origin, Access::ReadWrite).await?;
        let (context, taken) = TakenBytes::noted(self.context);
        let copying = async {
            let snapshot = pick(&from, &SnapshotRef::Id(id.to_string())).await?;
            let copying = copy_one(&context, (&from, to), &snapshot);
            self.allowance.spend_on(&taken, copying).await
        };
        Box::pin(from.use_and_close(self.context, copying)).await
    }

    /// Ends its use of the sink.
    pub(super) async fn close(mut self) {
        if let Some(Ok(repository)) = self.repository {
            self.allowance.close(&repository).await;
        }
    }
}

/// Waits for the end of a task, which comes with that of the allowance.
async fn end<T: Send + 'static>(allowance: &mut Allowance, task: &mut Task<T>) -> Result<T> {
    let ended = allowance.spend(task.end()).await;
    if ended.is_err() {
        task.abort();
    }
    ended
}

/// A sink that has the snapshot of a capture, and the snapshot's id there. One that is required is
/// nearer, or the operator would not rely on it.
fn find_origin<'a>(plan: &'a Plan, capture: &'a Capture) -> Result<(&'a Spec, &'a SnapshotId)> {
    let stored = plan.sinks.iter().zip(&capture.sinks);
    let stored = stored.filter_map(|(sink, report)| {
        let id = report.result.as_ref().ok()?.snapshot.as_ref()?;
        Some((sink.required, &sink.spec, id))
    });
    let origin = stored.max_by_key(|(required, ..)| *required);
    origin.map(|(_, spec, id)| (spec, id)).ok_or_else(|| {
        Error::new(
            Kind::Unavailable,
            "it was late, and no other sink has a snapshot to copy",
        )
    })
}
