//! The state of each sink when the backup of a source begins. A run waits for required sinks to open. It waits a short
//! time for the others, which are late after that.

use std::time::Duration;

use futures::future::join_all;

use super::allowance::Allowance;
use super::run::Plan;
use super::task::Task;
use super::{Context, Sink, access, open};
use crate::error::{Error, Result};
use crate::plugin::Repository;

/// How long sinks that are required wait for the others to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of a sink when the backup of a source begins.
pub(super) enum SinkState {
    /// It can take the capture.
    Open(Repository),
    /// It cannot take anything.
    Failed(Error),
    /// It is still being opened.
    Opening(Task<Repository>),
    /// It was late for a source before this one.
    Late,
}

impl SinkState {
    /// Its repository, where that is open.
    pub(super) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Open(repository) => Some(repository),
            Self::Failed(_) | Self::Opening(_) | Self::Late => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.repository().is_some()
    }
}

impl From<Result<Repository>> for SinkState {
    fn from(opened: Result<Repository>) -> Self {
        opened.map_or_else(Self::Failed, Self::Open)
    }
}

/// Opens the sinks of a plan all at once, in their order, without those that were late before.
pub(super) async fn open_sinks(
    context: &Context,
    plan: &Plan,
    late: &[bool],
    allowances: &mut [Allowance],
) -> Vec<SinkState> {
    let access = access(plan.dry_run);
    let start = |sink: &Sink| {
        let (context, spec) = (context.clone(), sink.spec.clone());
        Task::start(async move { open(&context, &spec, access).await })
    };
    let sinks = plan.sinks.iter().zip(late);
    let mut states: Vec<_> = sinks
        .map(|(sink, late)| match late {
            true => SinkState::Late,
            false => SinkState::Opening(start(sink)),
        })
        .collect();
    for (sink, state) in plan.sinks.iter().zip(&mut states) {
        if sink.required {
            state.wait().await;
        }
    }
    // A dry run must not delay other writers.
    let hurry = !plan.dry_run && states.iter().any(SinkState::is_open);
    let waiting = states.iter_mut().zip(allowances);
    join_all(waiting.map(async |(state, allowance)| {
        if hurry {
            allowance.within(OPEN_TIMEOUT, state.wait()).await;
        } else {
            state.wait().await;
        }
    }))
    .await;
    states
}

impl SinkState {
    /// Waits for the sink to open. After a cancelled wait, the caller can wait again.
    async fn wait(&mut self) {
        if let Self::Opening(task) = self {
            *self = task.end().await.into();
        }
    }
}
