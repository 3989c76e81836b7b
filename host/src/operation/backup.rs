//! One capture into many stores.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use super::Context;
use super::allowance::{Allowance, Taken};
use super::counted::Counted;
use super::late::Late;
use super::quiesced::Quiesced;
use super::run::{Capture, Plan, SinkReport, Source};
use super::seat::{Seat, take_seats};
use super::witness::confirm;
use crate::contract::{Completeness, Draft, WriteMode};
use crate::error::Result;
use crate::grant::Access;
use crate::plugin::{self, PluginWriter, Repository, Spec, hostname, patience_with_sink, username};
use crate::transfer::{self, Moved, Outcome, Taker, Wait, Writer, transfer};
use crate::volume::{self, Quiesce};

/// How long a sink that is not required may take to begin a snapshot.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much longer the others wait for a sink than it may make no progress, so that this is what is told of it.
const MORE_PATIENCE: Duration = Duration::from_secs(1);

/// A capture that was stored in the sinks that were there for it.
pub(super) struct Backup {
    /// The error is one of the source; what a single sink says is in the capture.
    pub(super) result: Result<Capture>,
    /// What each sink of the plan has yet to do.
    pub(super) late: Vec<Option<Late>>,
}

/// Takes one capture and stores it in every sink. Those that are not required are not waited for,
/// and those that were late before are left out.
pub(super) async fn backup(
    context: &Context,
    plan: &Plan,
    mut source: Source,
    late: &[bool],
    allowances: &mut [Allowance],
) -> Backup {
    let started = Instant::now();
    let time = Timestamp::now();
    let seats = take_seats(context, plan, late, allowances).await;
    let mut aftermath = Vec::new();
    // Without any store there is nothing to dump for.
    let stored = if seats.iter().any(Seat::is_open) {
        let mut quiesce = Quiesce::new(&context.journal);
        let prepared = volume::prepare(
            context,
            &mut source.spec,
            Access::ReadOnly,
            plan.dry_run,
            &mut quiesce,
        )
        .await;
        let quiesced = Quiesced::new(quiesce, source.spec.subject());
        let stored = async {
            prepared?;
            let seats = (&*seats, &mut *allowances);
            store(context, plan, &source, seats, time, &quiesced).await
        };
        let stored = context.unless_cancelled(stored).await;
        aftermath = quiesced.release().await.to_vec();
        stored
    } else {
        Ok(nothing(Vec::new()))
    };
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            return Backup {
                result: Err(error),
                late: give_up(plan, seats, allowances).await,
            };
        }
    };
    let (sinks, late) = settle(context, plan, time, seats, stored.outcomes, allowances).await;
    let capture = Capture {
        time,
        files: stored.files,
        bytes: stored.bytes,
        complete: stored.completeness == Completeness::Complete,
        aftermath,
        duration: started.elapsed(),
        sinks,
    };
    Backup {
        result: Ok(capture),
        late,
    }
}

/// Closes the sinks after a source failed. One that is still being opened holds a lock soon, and has
/// yet to be closed.
async fn give_up(plan: &Plan, seats: Vec<Seat>, allowances: &mut [Allowance]) -> Vec<Option<Late>> {
    let mut late = Vec::new();
    for ((sink, seat), allowance) in plan.sinks.iter().zip(seats).zip(allowances) {
        late.push(match seat {
            Seat::Open(repository) => {
                close(&repository, sink.required, allowance).await;
                None
            }
            Seat::Opening(task) => Some(Late::Opening(task)),
            Seat::Failed(_) | Seat::Late => None,
        });
    }
    late
}

/// Closes a sink. One that is not required has as long as it may keep the run waiting.
async fn close(repository: &Repository, required: bool, allowance: &mut Allowance) {
    if required {
        repository.close().await;
    } else {
        allowance.close(repository).await;
    }
}

/// Moves the source's capture into the open sinks. The outcomes are theirs, in their order.
async fn store(
    context: &Context,
    plan: &Plan,
    source: &Source,
    (seats, allowances): (&[Seat], &mut [Allowance]),
    time: Timestamp,
    quiesced: &Quiesced,
) -> Result<Moved> {
    let capture = plugin::open(context, &source.spec).await?;
    let draft = Draft {
        time: time.into(),
        hostname: source.hostname.clone().unwrap_or_else(hostname),
        username: username(),
        tags: source.tags.clone(),
        paths: capture.paths,
        mode: WriteMode {
            dry_run: plan.dry_run,
            force: plan.force,
        },
    };
    let hurry = !plan.dry_run && plan.sinks.iter().any(|sink| sink.required);
    let sinks = plan.sinks.iter().zip(seats).zip(&mut *allowances);
    let open: Vec<_> = sinks
        .filter_map(|((sink, seat), allowance)| {
            let required = sink.required || !hurry;
            Some((seat.repository()?, required, allowance))
        })
        .collect();
    let beginning = open.iter().map(async |(repository, required, allowance)| {
        let since = Instant::now();
        let patience = (!required).then(|| PATIENCE.min(allowance.left()));
        let begun = begin(repository, draft.clone(), patience).await;
        (begun, since.elapsed())
    });
    let begun = join_all(beginning).await;
    let of_required = open
        .iter()
        .zip(&begun)
        .filter(|((_, required, _), _)| *required);
    let pace = of_required
        .map(|(_, (_, took))| *took)
        .max()
        .unwrap_or_default();
    let mut takers = Vec::new();
    let mut counts = Vec::new();
    let mut outcomes = Vec::new();
    for ((_, required, allowance), (begun, took)) in open.into_iter().zip(begun) {
        allowance.charge(took.saturating_sub(pace), &Taken::default());
        let mut writer: Box<dyn Writer> = match begun {
            Ok(writer) => Box::new(writer),
            Err(outcome) => {
                outcomes.push(Some(outcome));
                continue;
            }
        };
        outcomes.push(None);
        let (waited, taken) = (Wait::default(), Taken::default());
        if !required {
            let taken = taken.clone();
            writer = Box::new(Counted { writer, taken });
        }
        takers.push(Taker {
            writer,
            required,
            patience: transfer::PATIENCE.min(allowance.left() + MORE_PATIENCE),
            waited: waited.clone(),
        });
        counts.push((allowance, waited, taken));
    }
    if takers.is_empty() {
        return Ok(nothing(outcomes.into_iter().flatten().collect()));
    }
    let reader = quiesced.reader(Box::new(capture.reader));
    let moved = transfer(reader, takers, &*context.events).await;
    for (allowance, waited, taken) in counts {
        allowance.charge(waited.so_far(), &taken);
    }
    let mut moved = moved?;
    let mut of_takers = moved.outcomes.into_iter();
    let all = outcomes.into_iter();
    let all = all.filter_map(|outcome| outcome.or_else(|| of_takers.next()));
    moved.outcomes = all.collect();
    Ok(moved)
}

/// How long a sink may make no progress, and keep a run waiting that does not require it.
pub(super) fn patience(sink: &Spec) -> Duration {
    patience_with_sink(&sink.limits)
}

/// What moves into no sink.
fn nothing(outcomes: Vec<Outcome>) -> Moved {
    Moved {
        outcomes,
        files: 0,
        bytes: 0,
        completeness: Completeness::Complete,
    }
}

/// Begins a snapshot. A sink that others have no patience with is left behind when it takes long for that.
async fn begin(
    repository: &Repository,
    draft: Draft,
    patience: Option<Duration>,
) -> Result<PluginWriter, Outcome> {
    let begun = repository.begin(draft);
    let begun = match patience {
        Some(patience) => timeout(patience, begun)
            .await
            .map_err(|_| Outcome::Behind)?,
        None => begun.await,
    };
    begun.map_err(|error| Outcome::Done(Err(error)))
}

/// What each sink says, and what those that were late have yet to do.
async fn settle(
    context: &Context,
    plan: &Plan,
    time: Timestamp,
    seats: Vec<Seat>,
    outcomes: Vec<Outcome>,
    allowances: &mut [Allowance],
) -> (Vec<SinkReport>, Vec<Option<Late>>) {
    let mut outcomes = outcomes.into_iter();
    let mut results = Vec::new();
    let mut late = Vec::new();
    for ((sink, seat), allowance) in plan.sinks.iter().zip(seats).zip(allowances) {
        let settled = match seat {
            Seat::Failed(error) => Ok(Err(error)),
            Seat::Opening(task) => Err(Late::Opening(task)),
            Seat::Late => Err(Late::Before),
            Seat::Open(repository) => match outcomes.next().unwrap_or(Outcome::Behind) {
                Outcome::Done(result) => {
                    close(&repository, sink.required, allowance).await;
                    Ok(result)
                }
                Outcome::Behind => Err(Late::behind(repository)),
                Outcome::Committing(commit) => Err(Late::committing(commit, repository)),
            },
        };
        let (result, rest) = match settled {
            Ok(result) => (result, None),
            Err(late) => (Err(Late::interrupted()), Some(late)),
        };
        results.push(async move {
            let result = match result {
                Ok(receipt) if !plan.dry_run => {
                    let confirming = confirm(context, &sink.spec, receipt, time);
                    if sink.required {
                        confirming.await
                    } else {
                        allowance.spend(confirming).await
                    }
                }
                result => result,
            };
            SinkReport {
                sink: sink.spec.name.clone(),
                required: sink.required,
                copied_from: None,
                result: result.map_err(|error| error.of(sink.spec.subject())),
            }
        });
        late.push(rest);
    }
    let mut reports = join_all(results).await;
    let unusable = plan.unusable.iter().cloned();
    reports.extend(unusable.map(|unusable| SinkReport {
        sink: unusable.sink,
        required: false,
        copied_from: None,
        result: Err(unusable.error),
    }));
    (reports, late)
}
