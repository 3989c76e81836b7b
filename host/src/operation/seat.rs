//! How far each sink is when a source is about to be backed up. Those that are required are waited for; the others are
//! waited for a little, and are late otherwise.

use std::time::Duration;

use futures::future::join_all;

use super::allowance::Allowance;
use super::run::Plan;
use super::task::Task;
use super::{Context, Sink, access, open};
use crate::error::{Error, Result};
use crate::plugin::Repository;

/// How long sinks that are required wait for the others to open.
const PATIENCE: Duration = Duration::from_secs(2);

/// A sink of a run, with regard to one source.
pub(super) enum Seat {
    /// It can take the capture.
    Open(Repository),
    /// It cannot take anything.
    Failed(Error),
    /// It is still being opened.
    Opening(Task<Repository>),
    /// It was late for a source before this one.
    Late,
}

impl Seat {
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

impl From<Result<Repository>> for Seat {
    fn from(opened: Result<Repository>) -> Self {
        opened.map_or_else(Self::Failed, Self::Open)
    }
}

/// Opens the sinks of a plan all at once, in their order, without those that were late before.
pub(super) async fn take_seats(
    context: &Context,
    plan: &Plan,
    late: &[bool],
    allowances: &mut [Allowance],
) -> Vec<Seat> {
    let access = access(plan.dry_run);
    let start = |sink: &Sink| {
        let (context, spec) = (context.clone(), sink.spec.clone());
        Task::start(async move { open(&context, &spec, access).await })
    };
    let sinks = plan.sinks.iter().zip(late);
    let mut seats: Vec<_> = sinks
        .map(|(sink, late)| match late {
            true => Seat::Late,
            false => Seat::Opening(start(sink)),
        })
        .collect();
    for (sink, seat) in plan.sinks.iter().zip(&mut seats) {
        if sink.required {
            seat.wait().await;
        }
    }
    // In a dry run, nobody is kept from storing anything.
    let hurry = !plan.dry_run && seats.iter().any(Seat::is_open);
    let waiting = seats.iter_mut().zip(allowances);
    join_all(waiting.map(async |(seat, allowance)| {
        if hurry {
            allowance.patiently(PATIENCE, seat.wait()).await;
        } else {
            seat.wait().await;
        }
    }))
    .await;
    seats
}

impl Seat {
    /// Waits for the sink to open. Whoever stops waiting can wait again.
    async fn wait(&mut self) {
        if let Self::Opening(task) = self {
            *self = task.end().await.into();
        }
    }
}
