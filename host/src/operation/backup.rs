//! Backs up one capture into many sinks.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use super::Context;
use super::allowance::{Allowance, TakenBytes};
use super::confirmation::confirm;
use super::counting::CountingWriter;
use super::late::Late;
use super::quiesced::Quiesced;
use super::run::{Capture, Plan, SinkReport, Source};
use super::sink_state::{SinkState, open_sinks};
use crate::contract::{Completeness, Draft, WriteMode};
use crate::error::Result;
use crate::grant::Access;
use crate::plugin::{self, PluginWriter, Repository, Spec, hostname, sink_stall_timeout, username};
use crate::transfer::{self, Outcome, TransferReport, TransferWriter, Wait, Writer, transfer};
use crate::volume::{self, Quiesce};

/// How long a sink that is not required may take to begin a snapshot.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How much longer the others wait for a sink than it may make no progress, so that this is what is told of it.
const LAG_SLACK: Duration = Duration::from_secs(1);

/// A capture that was stored in the sinks that were there for it.
pub(super) struct Backup {
    /// The error is one of the source; what a single sink says is in the capture.
    pub(super) result: Result<Capture>,
    /// The remaining work of each sink in the plan.
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
    let states = open_sinks(context, plan, late, allowances).await;
    let mut aftermath = Vec::new();
    // Without any store there is nothing to dump for.
    let stored = if states.iter().any(SinkState::is_open) {
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
            let states = (&*states, &mut *allowances);
            store(context, plan, &source, states, time, &quiesced).await
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
                late: give_up(plan, states, allowances).await,
            };
        }
    };
    let (sinks, late) = finish(context, plan, time, states, stored.outcomes, allowances).await;
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
async fn give_up(
    plan: &Plan,
    states: Vec<SinkState>,
    allowances: &mut [Allowance],
) -> Vec<Option<Late>> {
    let mut late = Vec::new();
    for ((sink, state), allowance) in plan.sinks.iter().zip(states).zip(allowances) {
        late.push(match state {
            SinkState::Open(repository) => {
                close(&repository, sink.required, allowance).await;
                None
            }
            SinkState::Opening(task) => Some(Late::Opening(task)),
            SinkState::Failed(_) | SinkState::Late => None,
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
    (states, allowances): (&[SinkState], &mut [Allowance]),
    time: Timestamp,
    quiesced: &Quiesced,
) -> Result<TransferReport> {
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
    let sinks = plan.sinks.iter().zip(states).zip(&mut *allowances);
    let open: Vec<_> = sinks
        .filter_map(|((sink, state), allowance)| {
            let required = sink.required || !hurry;
            Some((state.repository()?, required, allowance))
        })
        .collect();
    let beginning = open.iter().map(async |(repository, required, allowance)| {
        let since = Instant::now();
        let limit = (!required).then(|| BEGIN_TIMEOUT.min(allowance.remaining()));
        let begun = begin(repository, draft.clone(), limit).await;
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
    let mut writers = Vec::new();
    let mut counts = Vec::new();
    let mut outcomes = Vec::new();
    for ((_, required, allowance), (begun, took)) in open.into_iter().zip(begun) {
        allowance.charge(took.saturating_sub(pace), &TakenBytes::default());
        let mut writer: Box<dyn Writer> = match begun {
            Ok(writer) => Box::new(writer),
            Err(outcome) => {
                outcomes.push(Some(outcome));
                continue;
            }
        };
        outcomes.push(None);
        let (waited, taken) = (Wait::default(), TakenBytes::default());
        if !required {
            let taken = taken.clone();
            writer = Box::new(CountingWriter { writer, taken });
        }
        writers.push(TransferWriter {
            writer,
            required,
            max_lag: transfer::MAX_LAG.min(allowance.remaining() + LAG_SLACK),
            waited: waited.clone(),
        });
        counts.push((allowance, waited, taken));
    }
    if writers.is_empty() {
        return Ok(nothing(outcomes.into_iter().flatten().collect()));
    }
    let reader = quiesced.reader(Box::new(capture.reader));
    let report = transfer(reader, writers, &*context.events).await;
    for (allowance, waited, taken) in counts {
        allowance.charge(waited.so_far(), &taken);
    }
    let mut report = report?;
    let mut of_writers = report.outcomes.into_iter();
    let all = outcomes.into_iter();
    let all = all.filter_map(|outcome| outcome.or_else(|| of_writers.next()));
    report.outcomes = all.collect();
    Ok(report)
}

/// How long a sink may make no progress, and keep a run waiting that does not require it.
pub(super) fn stall_timeout(sink: &Spec) -> Duration {
    sink_stall_timeout(&sink.limits)
}

/// The report of a transfer that no sink took part in.
fn nothing(outcomes: Vec<Outcome>) -> TransferReport {
    TransferReport {
        outcomes,
        files: 0,
        bytes: 0,
        completeness: Completeness::Complete,
    }
}

/// Begins a snapshot. A sink that is not required is left behind when that takes longer than `limit`.
async fn begin(
    repository: &Repository,
    draft: Draft,
    limit: Option<Duration>,
) -> Result<PluginWriter, Outcome> {
    let begun = repository.begin(draft);
    let begun = match limit {
        Some(limit) => timeout(limit, begun).await.map_err(|_| Outcome::Behind)?,
        None => begun.await,
    };
    begun.map_err(|error| Outcome::Done(Err(error)))
}

/// The results of the sinks, and the remaining work of those that were late.
async fn finish(
    context: &Context,
    plan: &Plan,
    time: Timestamp,
    states: Vec<SinkState>,
    outcomes: Vec<Outcome>,
    allowances: &mut [Allowance],
) -> (Vec<SinkReport>, Vec<Option<Late>>) {
    let mut outcomes = outcomes.into_iter();
    let mut results = Vec::new();
    let mut late = Vec::new();
    for ((sink, state), allowance) in plan.sinks.iter().zip(states).zip(allowances) {
        let finished = match state {
            SinkState::Failed(error) => Ok(Err(error)),
            SinkState::Opening(task) => Err(Late::Opening(task)),
            SinkState::Late => Err(Late::Before),
            SinkState::Open(repository) => match outcomes.next().unwrap_or(Outcome::Behind) {
                Outcome::Done(result) => {
                    close(&repository, sink.required, allowance).await;
                    Ok(result)
                }
                Outcome::Behind => Err(Late::behind(repository)),
                Outcome::Committing(commit) => Err(Late::committing(commit, repository)),
            },
        };
        let (result, rest) = match finished {
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
