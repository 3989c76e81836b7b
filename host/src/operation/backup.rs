//! One capture into many stores.

use std::time::Instant;

use futures::future::join_all;
use jiff::Timestamp;

use super::run::{Capture, Plan, SinkReport, tags};
use super::{Context, Receipt, Sink, access, open};
use crate::contract::{Completeness, Draft, WriteMode};
use crate::error::Result;
use crate::grant::Access;
use crate::plugin::{self, Repository, Spec, hostname, username};
use crate::transfer::{Writer, transfer};
use crate::volume::{self, Quiesce};

/// Takes one capture and stores it in every sink.
///
/// The error is one of the source; what a single sink says is in the capture.
pub(super) async fn backup(context: &Context, plan: &Plan, mut source: Spec) -> Result<Capture> {
    let started = Instant::now();
    let time = Timestamp::now();
    let access = access(plan.dry_run);
    let opening = plan
        .sinks
        .iter()
        .map(|sink| open(context, &sink.spec, access));
    let opened = join_all(opening).await;
    // Without any store there is nothing to dump for.
    if opened.iter().all(Result::is_err) {
        let sinks = plan.sinks.iter().zip(opened);
        return Ok(Capture {
            time,
            files: 0,
            bytes: 0,
            complete: true,
            aftermath: Vec::new(),
            duration: started.elapsed(),
            sinks: sinks
                .map(|(sink, opened)| sink_report(sink, opened.map(|_| Receipt::default())))
                .collect(),
        });
    }
    let mut quiesce = Quiesce::default();
    let prepared = volume::prepare(
        context,
        &mut source,
        Access::ReadOnly,
        plan.dry_run,
        &mut quiesce,
    )
    .await;
    let stored = match prepared {
        Ok(()) => {
            context
                .unless_cancelled(store(context, plan, &source, &opened, time))
                .await
        }
        Err(error) => Err(error),
    };
    let aftermath = quiesce.release(&source.subject()).await;
    join_all(opened.iter().flatten().map(Repository::close)).await;
    let stored = stored?;
    let mut receipts = stored.receipts.into_iter();
    let sinks = plan.sinks.iter().zip(opened).map(|(sink, opened)| {
        let result = opened.and_then(|_| {
            receipts
                .next()
                .expect("there is a receipt for every open store")
        });
        sink_report(sink, result)
    });
    Ok(Capture {
        time,
        files: stored.files,
        bytes: stored.bytes,
        complete: stored.complete,
        aftermath,
        duration: started.elapsed(),
        sinks: sinks.collect(),
    })
}

fn sink_report(sink: &Sink, result: Result<Receipt>) -> SinkReport {
    SinkReport {
        sink: sink.spec.name.clone(),
        required: sink.required,
        result: result.map_err(|error| error.of(sink.spec.subject())),
    }
}

struct Stored {
    /// One for every open store, in their order.
    receipts: Vec<Result<Receipt>>,
    files: u64,
    bytes: u64,
    complete: bool,
}

async fn store(
    context: &Context,
    plan: &Plan,
    source: &Spec,
    opened: &[Result<Repository>],
    time: Timestamp,
) -> Result<Stored> {
    let capture = plugin::open(context, source).await?;
    let draft = Draft {
        time: time.into(),
        hostname: plan.hostname.clone().unwrap_or_else(hostname),
        username: username(),
        tags: tags(&source.name, &plan.tags),
        paths: capture.paths,
        mode: WriteMode {
            dry_run: plan.dry_run,
            force: plan.force,
        },
    };
    let begun = join_all(
        opened
            .iter()
            .flatten()
            .map(|store| store.begin(draft.clone())),
    )
    .await;
    let mut writers: Vec<Box<dyn Writer>> = Vec::new();
    let mut answers = Vec::new();
    for begun in begun {
        answers.push(begun.map(|writer| writers.push(Box::new(writer))));
    }
    if writers.is_empty() {
        let receipts = answers
            .into_iter()
            .map(|answer| answer.map(|()| Receipt::default()))
            .collect();
        return Ok(Stored {
            receipts,
            files: 0,
            bytes: 0,
            complete: true,
        });
    }
    let moved = transfer(Box::new(capture.reader), writers, &*context.events).await?;
    let mut receipts = moved.receipts.into_iter();
    let receipts = answers
        .into_iter()
        .map(|answer| {
            answer.and_then(|()| {
                receipts
                    .next()
                    .expect("there is a receipt for every writer")
            })
        })
        .collect();
    Ok(Stored {
        receipts,
        files: moved.files,
        bytes: moved.bytes,
        complete: moved.completeness == Completeness::Complete,
    })
}
