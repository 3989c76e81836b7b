//! One capture into many stores.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;

use super::{Context, Receipt};
use crate::contract::{Completeness, Draft, WriteMode};
use crate::error::{Error, Result};
use crate::plugin::{self, Repository, Spec, hostname, username};
use crate::transfer::{Writer, transfer};
use crate::volume::{self, Hold};

/// One capture, to be stored in every one of the sinks.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What is backed up.
    pub source: Spec,
    /// Where it goes. Not empty.
    pub sinks: Vec<Spec>,
    /// The snapshots' tags.
    pub tags: Vec<String>,
    /// The host that the snapshots bear; this machine's name when none.
    pub hostname: Option<String>,
    /// Read and compute everything, store nothing.
    pub dry_run: bool,
    /// Read the files too that have not changed since the snapshot before.
    pub force: bool,
}

/// How a backup went. There is one even when every sink failed.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// What each sink says, in the order of the request.
    pub sinks: Vec<(String, Result<Receipt>)>,
    /// The time that the snapshots bear.
    pub time: Timestamp,
    /// Files and bytes that came from the source.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// Whether the snapshots are what the source was. The log says what is missing.
    pub complete: bool,
    /// What could not be undone of what was done to containers, and commands that failed after
    /// the backup.
    pub aftermath: Vec<Error>,
    /// How long it took.
    pub duration: Duration,
}

/// Takes one capture and stores it in every sink.
///
/// The error is one of the source or of the request; what a single sink says is in
/// the report.
pub async fn backup(context: &Context, backup: Backup) -> Result<BackupReport> {
    let started = Instant::now();
    let time = Timestamp::now();
    let opened = join_all(
        backup
            .sinks
            .iter()
            .map(|sink| Repository::open(context, sink)),
    )
    .await;
    // Without any store there is nothing to dump for.
    if opened.iter().all(Result::is_err) {
        let sinks = backup.sinks.iter().zip(opened);
        return Ok(BackupReport {
            sinks: sinks
                .map(|(sink, opened)| (sink.name.clone(), opened.map(|_| Receipt::default())))
                .collect(),
            time,
            files: 0,
            bytes: 0,
            complete: true,
            aftermath: Vec::new(),
            duration: started.elapsed(),
        });
    }
    let mut backup = backup;
    let mut hold = Hold::default();
    let prepared = volume::prepare(context, &mut backup.source, backup.dry_run, &mut hold).await;
    let stored = match prepared {
        Ok(()) => {
            context
                .unless_cancelled(store(context, &backup, &opened, time))
                .await
        }
        Err(error) => Err(error),
    };
    let aftermath = hold.release(context, &backup.source.subject()).await;
    join_all(opened.iter().flatten().map(|store| store.close(context))).await;
    let stored = stored?;
    let mut receipts = stored.receipts.into_iter();
    let sinks = backup.sinks.iter().zip(opened).map(|(sink, opened)| {
        let result = opened.and_then(|_| {
            receipts
                .next()
                .expect("there is a receipt for every open store")
        });
        (
            sink.name.clone(),
            result.map_err(|error| error.of(sink.subject())),
        )
    });
    Ok(BackupReport {
        sinks: sinks.collect(),
        time,
        files: stored.files,
        bytes: stored.bytes,
        complete: stored.complete,
        aftermath,
        duration: started.elapsed(),
    })
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
    backup: &Backup,
    opened: &[Result<Repository>],
    time: Timestamp,
) -> Result<Stored> {
    let capture = plugin::open(context, &backup.source).await?;
    let draft = Draft {
        time: time.into(),
        hostname: backup.hostname.clone().unwrap_or_else(hostname),
        username: username(),
        tags: backup.tags.clone(),
        paths: capture.paths,
        mode: WriteMode {
            dry_run: backup.dry_run,
            force: backup.force,
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
