//! Proof that what is stored can be restored: the newest snapshot of a source is restored for trial, and nothing of it stays.
//!
//! A source that can does so in a place of its own, a database for example. For the others, all that the snapshot holds is read.

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

/// Which sources are restored for trial, and from where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sources, one after the other.
    pub sources: Vec1<Source>,
    /// The sinks, each of which has to have a snapshot of every source.
    pub sinks: Vec1<Sink>,
    /// Sinks that cannot be used, and that the drill does without.
    pub unusable: Vec<Unusable>,
    /// The time of the drill, as it stands in names that sources make for it.
    pub label: String,
}

/// A source, and which snapshots are of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is and may.
    pub spec: Spec,
    /// Passes its snapshots. The newest of them is restored.
    pub filter: Filter,
}

/// How drills went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Each source from each sink; those that an interruption prevented are missing.
    pub drills: Vec<Drill>,
}

/// How a source was restored from a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Drill {
    /// The source's name.
    pub source: String,
    /// The sink's name.
    pub sink: String,
    /// Whether all has failed when it failed here.
    pub required: bool,
    /// What came of it.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Outcome>")]
    pub result: Result<Outcome>,
}

/// What came of a drill.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// Nothing may be read there.
    Skipped {
        /// What the credentials allow.
        #[serde(rename = "skipped")]
        class: Class,
    },
    /// All of it came.
    Passed(Box<Passed>),
}

/// A snapshot that can be restored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Passed {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// How it was proved.
    pub proof: Proof,
    /// The files in it.
    #[serde(rename = "total_files")]
    pub files: u64,
    /// Their bytes.
    #[serde(rename = "total_bytes")]
    pub bytes: u64,
    /// Whether the snapshot has everything that it was to have.
    pub complete: bool,
    /// How long it took, in seconds.
    #[serde(rename = "total_duration", serialize_with = "json::seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

/// How it was proved that a snapshot can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// Its source restored it, looked it over and removed it.
    Restored,
    /// All that it holds was read.
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

/// Restores the newest snapshot of each source from each sink for trial, and tells of each as soon as it is done.
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
        plugin::tidy(context, &source.spec).await;
    }
    drilled
}
