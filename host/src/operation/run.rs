//! A run: backs up sources one after the other, each into all sinks at once.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, info, instrument};
use vec1::Vec1;

use super::allowance::Allowance;
use super::backup::{Backup, backup, stall_timeout};
use super::late::{CatchUp, Late};
use super::verdict::{Tally, Verdict};
use super::{Context, Receipt, Sink, Unusable};
use crate::error::{Error, Result};
use crate::json;
use crate::plugin::Spec;

/// The sources and sinks of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sources. Each becomes a separate snapshot.
    pub sources: Vec1<Source>,
    /// The sinks. Every snapshot goes into each of them.
    pub sinks: Vec1<Sink>,
    /// Sinks with an invalid configuration, which the run skips.
    pub unusable: Vec<Unusable>,
    /// Read and compute everything, but store nothing.
    pub dry_run: bool,
    /// Also read files that have not changed since the parent snapshot.
    pub force: bool,
}

/// A source, and the properties of its snapshot.
#[derive(Clone, Debug)]
pub struct Source {
    /// The plugin with its settings, grants and limits.
    pub spec: Spec,
    /// The snapshot's tags.
    pub tags: Vec<String>,
    /// The host of the snapshot; by default this machine's name.
    pub hostname: Option<String>,
}

/// The result of a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The sources in the order of the plan, without those that an interruption prevented.
    pub sources: Vec<SourceReport>,
}

/// The result of one source.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SourceReport {
    /// The source's name.
    pub source: String,
    /// The error of the source. Errors of single sinks are in the capture.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Capture>")]
    pub result: Result<Capture>,
}

/// What came from a source, and what became of it. There is one even when every sink failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Capture {
    /// The time of the snapshots.
    #[serde(serialize_with = "json::time")]
    pub time: Timestamp,
    /// Files that were read from the source.
    #[serde(rename = "total_files_processed")]
    pub files: u64,
    /// Their bytes, as far as they were read.
    #[serde(rename = "bytes_read")]
    pub bytes: u64,
    /// Whether a sink has all of what the source was, or would have it after a dry run. The log says
    /// what is missing.
    pub complete: bool,
    /// What could not be undone of what was done to containers, and commands that failed after
    /// the backup.
    pub aftermath: Vec<Error>,
    /// The duration in seconds.
    #[serde(rename = "total_duration", serialize_with = "json::seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
    /// The results of the sinks, in the order of the plan.
    pub sinks: Vec<SinkReport>,
}

/// The result of a capture in one sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkReport {
    /// The sink's name.
    pub sink: String,
    /// Whether the run fails without a snapshot in this sink.
    pub required: bool,
    /// The sink that the snapshot was copied from, because this sink was late.
    pub copied_from: Option<String>,
    /// The stored snapshot, or the error.
    #[serde(flatten, serialize_with = "json::summary_or_error")]
    #[schemars(with = "json::SummaryOrError<Receipt>")]
    pub result: Result<Receipt>,
}

/// Backs up every source. A source that fails does not stop the others. Sinks that are not required
/// and are late get their snapshots when all sources are backed up.
///
/// `tell` is called for each source with the sinks that have finished it, as soon as they have.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "run"))]
pub async fn run(
    context: &Context,
    plan: Plan,
    mut tell: impl FnMut(&SourceReport, &[&SinkReport]),
) -> Report {
    let mut sources = Vec::new();
    let mut pending = Vec::new();
    let mut late = vec![false; plan.sinks.len()];
    let sinks = plan.sinks.iter();
    let mut allowances: Vec<_> = sinks
        .map(|sink| Allowance::new(stall_timeout(&sink.spec)))
        .collect();
    for source in &plan.sources {
        let backup = backup(context, &plan, source.clone(), &late, &mut allowances);
        let Backup { result, late: rest } = backup.instrument(source.spec.span()).await;
        for ((sink, late), rest) in plan.sinks.iter().zip(&mut late).zip(&rest) {
            if rest.is_some() && !*late {
                info!(
                    subject = sink.spec.subject(),
                    "it is late, and gets its snapshots after the others"
                );
                *late = true;
            }
        }
        let report = SourceReport {
            source: source.spec.name.clone(),
            result,
        };
        tell(&report, &done(&report, &rest));
        sources.push(report);
        pending.push(rest);
        if context.cancel.is_cancelled() {
            break;
        }
    }
    for ((index, sink), allowance) in plan.sinks.iter().enumerate().zip(allowances) {
        let mut catch_up = CatchUp::new(context, &sink.spec, allowance);
        for (source, pending) in sources.iter_mut().zip(&mut pending) {
            let Some(mut late) = pending.get_mut(index).and_then(Option::take) else {
                continue;
            };
            // Whatever comes now, it is closed in the end.
            catch_up.take_over(&mut late).await;
            if let Ok(capture) = &mut source.result {
                let catching_up = Box::pin(catch_up.catch_up(&plan, late, capture));
                let caught_up = context
                    .unless_cancelled(catching_up)
                    .instrument(sink.spec.span())
                    .await;
                capture.sinks[index]
                    .catch_up(caught_up.map_err(|error| error.of(sink.spec.subject())));
                if let Ok(capture) = &source.result {
                    tell(source, &[&capture.sinks[index]]);
                }
            }
        }
        catch_up.close().await;
    }
    for capture in sources.iter_mut().flat_map(|source| &mut source.result) {
        // What no sink has is not complete.
        capture.complete &= capture.sinks.iter().any(|sink| sink.result.is_ok());
    }
    Report { sources }
}

/// The sinks that have finished a source.
fn done<'a>(report: &'a SourceReport, pending: &[Option<Late>]) -> Vec<&'a SinkReport> {
    let sinks = report.result.iter().flat_map(|capture| &capture.sinks);
    let pending = pending.iter().chain(std::iter::repeat(&None));
    let done = sinks.zip(pending).filter(|(_, pending)| pending.is_none());
    done.map(|(sink, _)| sink).collect()
}

impl SinkReport {
    /// Records the result of a late sink.
    fn catch_up(&mut self, caught_up: Result<(Receipt, Option<String>)>) {
        self.result = caught_up.map(|(receipt, origin)| {
            self.copied_from = origin;
            receipt
        });
    }
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        let mut tally = Tally::default();
        for source in &self.sources {
            match &source.result {
                Ok(capture) => capture.count(&mut tally),
                Err(error) => tally.failure(error, false),
            }
        }
        tally.verdict()
    }
}

impl Capture {
    fn count(&self, tally: &mut Tally) {
        if !self.complete {
            tally.incomplete();
        }
        for error in &self.aftermath {
            tally.failure(error, false);
        }
        for sink in &self.sinks {
            match &sink.result {
                Ok(_) => tally.success(),
                Err(error) => tally.failure(error, sink.required),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Kind;
    use crate::operation::Report as _;

    fn sink(name: &str, required: bool, result: Result<Receipt>) -> SinkReport {
        SinkReport {
            sink: name.into(),
            required,
            copied_from: None,
            result,
        }
    }

    fn report(sinks: Vec<SinkReport>) -> Report {
        let capture = Capture {
            time: Timestamp::UNIX_EPOCH,
            files: 2,
            bytes: 7,
            complete: true,
            aftermath: Vec::new(),
            duration: Duration::from_millis(1500),
            sinks,
        };
        Report {
            sources: vec![SourceReport {
                source: "db".into(),
                result: Ok(capture),
            }],
        }
    }

    fn locked() -> Result<Receipt> {
        Err(Error::new(Kind::Locked, "somebody holds a lock"))
    }

    #[test]
    fn a_run_fails_without_a_required_sink_and_is_incomplete_without_another() {
        let stored = || Ok(Receipt::default());
        let optional = report(vec![sink("a", true, stored()), sink("b", false, locked())]);
        assert_eq!(optional.verdict(), Verdict::Incomplete);
        let required = report(vec![sink("a", true, locked()), sink("b", false, stored())]);
        assert_eq!(required.verdict(), Verdict::Failed(Kind::Locked));
        let mut partial = report(vec![sink("a", true, stored())]);
        assert_eq!(partial.verdict(), Verdict::Done);
        if let Ok(capture) = &mut partial.sources[0].result {
            capture.complete = false;
        }
        assert_eq!(partial.verdict(), Verdict::Incomplete);
    }

    #[test]
    fn a_report_serialises_with_what_went_well_and_what_did_not() {
        let mut report = report(vec![sink("local", true, locked())]);
        report.sources.push(SourceReport {
            source: "files".into(),
            result: Err(Error::new(Kind::NotFound, "there is no such directory")),
        });
        let found = serde_json::to_value(&report).expect("it is JSON");
        let expected = json!({ "sources": [
            {
                "source": "db",
                "time": "1970-01-01T00:00:00Z",
                "total_files_processed": 2,
                "bytes_read": 7,
                "complete": true,
                "aftermath": [],
                "total_duration": 1.5,
                "error": null,
                "sinks": [{ "sink": "local", "required": true, "copied_from": null, "summary": null, "error": {
                    "code": "locked", "subject": null, "message": "somebody holds a lock",
                    "help": null, "exit_code": 11,
                } }],
            },
            { "source": "files", "error": {
                "code": "not-found", "subject": null, "message": "there is no such directory",
                "help": null, "exit_code": 1,
            } },
        ] });
        assert_eq!(found, expected);
    }
}
