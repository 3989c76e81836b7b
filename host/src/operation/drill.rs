//! Proves that snapshots can be restored: does a test restore of the newest snapshot of a source, and removes it
//! again.
//!
//! A source with the export `drill` restores into a temporary place, for example a database. For other sources, the host reads
//! all data of the snapshot.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument};
use vec1::Vec1;

use super::probe::unreadable;
use super::snapshot::pick;
use super::verdict::{Tally, Verdict};
use super::{Class, Context, Filter, Sink, Snapshot, SnapshotRef, Unusable, access, open};
use crate::contract::{self, Completeness};
use crate::error::Result;
use crate::json;
use crate::plugin::{self, Spec};
use crate::transfer::{Discard, Writer, transfer};

/// A drill: test restores of sources from sinks.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sources, one after the other.
    pub sources: Vec1<Source>,
    /// The sinks. Each must have a snapshot of every source.
    pub sinks: Vec1<Sink>,
    /// Sinks with an invalid configuration, which the drill skips.
    pub unusable: Vec<Unusable>,
    /// The time of the drill, for names that sources create.
    pub label: String,
}

/// A source, and the filter for its snapshots.
#[derive(Clone, Debug)]
pub struct Source {
    /// The plugin with its settings, grants and limits.
    pub spec: Spec,
    /// The filter for its snapshots. The newest one is restored.
    pub filter: Filter,
}

/// The results of drills.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Each source from each sink, without those that an interruption prevented.
    pub drills: Vec<Drill>,
}

/// The result of one source from one sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Drill {
    /// The source's name.
    pub source: String,
    /// The sink's name.
    pub sink: String,
    /// Whether the whole command fails if it fails here.
    pub required: bool,
    /// The outcome.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Outcome>")]
    pub result: Result<Outcome>,
}

/// The outcome of a drill.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// The credentials may not read.
    Skipped {
        /// The class of the credentials.
        #[serde(rename = "skipped")]
        class: Class,
    },
    /// The snapshot can be restored.
    Passed(Box<Passed>),
}

/// A snapshot that can be restored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Passed {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The kind of proof.
    pub proof: Proof,
    /// Its files.
    #[serde(rename = "total_files")]
    pub files: u64,
    /// Their bytes.
    #[serde(rename = "total_bytes")]
    pub bytes: u64,
    /// Whether the snapshot is complete.
    pub complete: bool,
    /// The duration in seconds.
    #[serde(rename = "total_duration", serialize_with = "json::seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

/// The kind of proof that a snapshot can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// Its source restored it, checked it and removed it again.
    Restored,
    /// All its data was read.
    Read,
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        let mut tally = Tally::default();
        for drill in &self.drills {
            match &drill.result {
                Ok(Outcome::Passed(passed)) if !passed.complete => {
                    tally.success();
                    tally.incomplete();
                }
                Ok(_) => tally.success(),
                Err(error) => tally.failure(error, drill.required),
            }
        }
        tally.verdict()
    }
}

/// Does a test restore of the newest snapshot of each source from each sink, and reports each result at once.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "drill"))]
pub async fn drill(context: &Context, plan: Plan, mut tell: impl FnMut(&Drill)) -> Report {
    let mut drills = Vec::new();
    let mut done = |drill: Drill| {
        tell(&drill);
        drills.push(drill);
    };
    for unusable in plan.unusable {
        for source in &plan.sources {
            done(Drill {
                source: source.spec.name.clone(),
                sink: unusable.sink.clone(),
                required: false,
                result: Err(unusable.error.clone()),
            });
        }
    }
    for sink in &plan.sinks {
        for source in &plan.sources {
            if context.cancel.is_cancelled() {
                break;
            }
            let drilling = Box::pin(drill_source(context, sink, source, &plan.label));
            done(Drill {
                source: source.spec.name.clone(),
                sink: sink.spec.name.clone(),
                required: sink.required,
                result: drilling.await,
            });
        }
    }
    Report { drills }
}

async fn drill_source(
    context: &Context,
    sink: &Sink,
    source: &Source,
    label: &str,
) -> Result<Outcome> {
    if let Some(class) = unreadable(context, &sink.spec).await? {
        return Ok(Outcome::Skipped { class });
    }
    let started = Instant::now();
    let repository = open(context, &sink.spec, access(false)).await?;
    let drilled = async {
        let newest = SnapshotRef::Latest(source.filter.clone());
        let snapshot = pick(&repository, &newest).await?;
        let reader = repository.read(contract::Selection {
            snapshot: snapshot.id.clone(),
            paths: None,
            levels: None,
            skip_damaged: false,
        });
        let reader = reader.await?;
        let trial = plugin::drill(context, &source.spec, label.to_owned());
        let (proof, writer): (_, Box<dyn Writer>) =
            match trial.instrument(source.spec.span()).await? {
                Some(writer) => (Proof::Restored, Box::new(writer)),
                None => (Proof::Read, Box::new(Discard)),
            };
        let mut moved = transfer(Box::new(reader), vec![writer.into()], &*context.events).await?;
        moved.outcomes.remove(0).receipt().await?;
        Ok(Outcome::Passed(Box::new(Passed {
            snapshot,
            proof,
            files: moved.files,
            bytes: moved.bytes,
            complete: moved.completeness == Completeness::Complete,
            duration: started.elapsed(),
        })))
    };
    let drilled = Box::pin(repository.use_and_close(context, drilled)).await;
    if drilled.is_err() {
        plugin::clean_up(context, &source.spec).await;
    }
    drilled
}
