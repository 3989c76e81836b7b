//! Retries parts that may succeed later.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{SinkCheck, SinkCheckPlan, may_pass};
use crate::error::Result;
use crate::operation::{drill, prune, run};

/// How long to wait before each further attempt. All of them are over within half an hour.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(3),
    Duration::from_mins(8),
    Duration::from_mins(15),
];

/// A report that says which of its parts may work later.
pub(super) trait Retry {
    /// The plan that it reports on.
    type Plan;

    /// Those parts.
    fn unfinished(&self, plan: &Self::Plan) -> Vec<Self::Plan>;

    /// Puts what a later attempt came to in the place of what there was.
    fn amend(&mut self, later: Self);
}

/// Carries out a plan, and again what of it may work later.
pub(super) async fn persist<R: Retry>(
    cancel: &CancellationToken,
    plan: R::Plan,
    attempt: impl AsyncFnMut(R::Plan) -> R,
) -> R
where
    R::Plan: Clone,
{
    persist_with(&DELAYS, cancel, plan, attempt).await
}

async fn persist_with<R: Retry>(
    delays: &[Duration],
    cancel: &CancellationToken,
    plan: R::Plan,
    mut attempt: impl AsyncFnMut(R::Plan) -> R,
) -> R
where
    R::Plan: Clone,
{
    let mut report = attempt(plan.clone()).await;
    for delay in delays {
        let unfinished = report.unfinished(&plan);
        if unfinished.is_empty() || cancel.is_cancelled() {
            break;
        }
        warn!("this may pass: tried again in {} s", delay.as_secs());
        tokio::select! {
            () = tokio::time::sleep(*delay) => {}
            () = cancel.cancelled() => break,
        }
        for plan in unfinished {
            report.amend(attempt(plan).await);
        }
    }
    report
}

impl Retry for run::Report {
    type Plan = run::Plan;

    /// Each source with the sinks that have no snapshot of it yet.
    fn unfinished(&self, plan: &run::Plan) -> Vec<run::Plan> {
        let of_source = |report: &run::SourceReport| {
            let source = plan
                .sources
                .iter()
                .find(|source| source.spec.name == report.source)?;
            let mut sinks = plan.sinks.clone().into_vec();
            match &report.result {
                Ok(capture) => sinks.retain(|sink| {
                    let mut reports = capture.sinks.iter();
                    reports.any(|report| report.sink == sink.spec.name && passing(&report.result))
                }),
                Err(error) if may_pass(error) => {}
                Err(_) => return None,
            }
            Some(run::Plan {
                sources: vec1::vec1![source.clone()],
                sinks: sinks.try_into().ok()?,
                // That has been told.
                unusable: Vec::new(),
                ..plan.clone()
            })
        };
        self.sources.iter().filter_map(of_source).collect()
    }

    fn amend(&mut self, later: Self) {
        for later in later.sources {
            let Some(source) = self
                .sources
                .iter_mut()
                .find(|source| source.source == later.source)
            else {
                continue;
            };
            match (&mut source.result, later.result) {
                (Ok(capture), Ok(later)) => {
                    let is_stored = capture.sinks.iter().any(|sink| sink.result.is_ok());
                    for later in later.sinks {
                        let sink = capture
                            .sinks
                            .iter_mut()
                            .find(|sink| sink.sink == later.sink);
                        if let Some(sink) = sink {
                            *sink = later;
                        }
                    }
                    // What no sink has is not complete.
                    capture.complete = later.complete && (capture.complete || !is_stored);
                    capture.aftermath.extend(later.aftermath);
                }
                // What some sinks have stays true.
                (Ok(_), Err(_)) => {}
                (result @ Err(_), later) => *result = later,
            }
        }
    }
}

impl Retry for prune::Report {
    type Plan = prune::Plan;

    fn unfinished(&self, plan: &prune::Plan) -> Vec<prune::Plan> {
        let mut sinks = plan.sinks.clone().into_vec();
        sinks.retain(|sink| {
            let mut reports = self.sinks.iter();
            reports.any(|report| report.sink == sink.spec.name && passing(&report.result))
        });
        let plan = sinks.try_into().map(|sinks| prune::Plan {
            sinks,
            unusable: Vec::new(),
            ..plan.clone()
        });
        plan.into_iter().collect()
    }

    fn amend(&mut self, later: Self) {
        for later in later.sinks {
            if let Some(sink) = self.sinks.iter_mut().find(|sink| sink.sink == later.sink) {
                *sink = later;
            }
        }
    }
}

impl Retry for Vec<SinkCheck> {
    type Plan = Vec<SinkCheckPlan>;

    fn unfinished(&self, plan: &Vec<SinkCheckPlan>) -> Vec<Vec<SinkCheckPlan>> {
        let mut rest = plan.clone();
        rest.retain(|planned| {
            let mut checks = self.iter();
            checks.any(|check| check.sink == planned.sink.spec.name && passing(&check.result))
        });
        if rest.is_empty() {
            Vec::new()
        } else {
            vec![rest]
        }
    }

    fn amend(&mut self, later: Self) {
        for later in later {
            if let Some(check) = self.iter_mut().find(|check| check.sink == later.sink) {
                *check = later;
            }
        }
    }
}

impl Retry for drill::Report {
    type Plan = drill::Plan;

    /// Each source from each sink of which it is not known.
    fn unfinished(&self, plan: &drill::Plan) -> Vec<drill::Plan> {
        let failed = self.drills.iter().filter(|drill| passing(&drill.result));
        let again = failed.filter_map(|drill| {
            let mut sources = plan.sources.iter();
            let source = sources.find(|source| source.spec.name == drill.source)?;
            let mut sinks = plan.sinks.iter();
            let sink = sinks.find(|sink| sink.spec.name == drill.sink)?;
            Some(drill::Plan {
                sources: vec1::vec1![source.clone()],
                sinks: vec1::vec1![sink.clone()],
                unusable: Vec::new(),
                label: plan.label.clone(),
            })
        });
        again.collect()
    }

    fn amend(&mut self, later: Self) {
        for later in later.drills {
            let mut drills = self.drills.iter_mut();
            let is_same = |drill: &&mut drill::Drill| {
                (&drill.source, &drill.sink) == (&later.source, &later.sink)
            };
            if let Some(drill) = drills.find(is_same) {
                *drill = later;
            }
        }
    }
}

fn passing<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(may_pass)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vec1::vec1;

    use super::*;
    use crate::error::{Error, Kind};
    use crate::grant::{Grants, Limits};
    use crate::operation::{Receipt, Verdict};
    use crate::operation::{Report as _, Sink};
    use crate::plugin::{Origin, Role, Spec};

    fn spec(name: &str) -> Spec {
        Spec {
            role: Role::Source,
            name: name.into(),
            origin: Origin::Bundled("none".into()),
            config: serde_json::Map::new(),
            grants: Grants::default(),
            limits: Limits::default(),
            store: None,
            streamed: BTreeMap::new(),
        }
    }

    fn plan() -> run::Plan {
        let sink = |name: &str| Sink {
            spec: spec(name),
            required: true,
        };
        let source = |name: &str| run::Source {
            spec: spec(name),
            tags: Vec::new(),
            hostname: None,
        };
        run::Plan {
            sources: vec1![source("db"), source("files")],
            sinks: vec1![sink("local"), sink("offsite")],
            unusable: Vec::new(),
            dry_run: false,
            force: false,
        }
    }

    /// The errors of the first attempts, by `source into sink`.
    type Script = BTreeMap<String, Vec<Kind>>;

    fn script(failures: &[(&str, &[Kind])]) -> Script {
        let owned = |(what, kinds): &(&str, &[Kind])| ((*what).to_owned(), kinds.to_vec());
        failures.iter().map(owned).collect()
    }

    fn attempt(plan: &run::Plan, script: &mut Script) -> run::Report {
        let mut sources = Vec::new();
        for source in &plan.sources {
            let mut sinks = Vec::new();
            for sink in &plan.sinks {
                let what = format!("{} into {}", source.spec.name, sink.spec.name);
                let failures = script.entry(what).or_default();
                let failure = (!failures.is_empty()).then(|| failures.remove(0));
                sinks.push(run::SinkReport {
                    sink: sink.spec.name.clone(),
                    required: true,
                    copied_from: None,
                    result: match failure {
                        Some(kind) => Err(Error::new(kind, "not now")),
                        None => Ok(Receipt::default()),
                    },
                });
            }
            sources.push(run::SourceReport {
                source: source.spec.name.clone(),
                result: Ok(run::Capture {
                    time: jiff::Timestamp::UNIX_EPOCH,
                    files: 0,
                    bytes: 0,
                    complete: true,
                    aftermath: Vec::new(),
                    duration: Duration::ZERO,
                    sinks,
                }),
            });
        }
        run::Report { sources }
    }

    /// Carries out plans by a script, and notes what each attempt is about.
    async fn attempts(mut script: Script) -> (run::Report, Vec<String>) {
        let mut attempts = Vec::new();
        let noted = async |plan: run::Plan| {
            let sources: Vec<_> = plan
                .sources
                .iter()
                .map(|source| &*source.spec.name)
                .collect();
            let sinks: Vec<_> = plan.sinks.iter().map(|sink| &*sink.spec.name).collect();
            attempts.push(format!("{} into {}", sources.join(" "), sinks.join(" ")));
            attempt(&plan, &mut script)
        };
        let cancel = CancellationToken::new();
        let report = persist_with(&[Duration::ZERO; 3], &cancel, plan(), noted).await;
        (report, attempts)
    }

    #[tokio::test]
    async fn only_what_is_locked_or_out_of_reach_is_tried_again() {
        let script = script(&[
            ("db into offsite", &[Kind::Unavailable, Kind::Locked]),
            ("files into local", &[Kind::NoSpace]),
        ]);
        let (report, attempts) = attempts(script).await;
        assert_eq!(
            attempts,
            [
                "db files into local offsite",
                "db into offsite",
                "db into offsite"
            ]
        );
        // The full disk is what remains.
        assert_eq!(report.verdict(), Verdict::Failed(Kind::NoSpace));
    }

    #[tokio::test]
    async fn after_the_last_attempt_the_failure_stays() {
        let script = script(&[("db into local", &[Kind::Locked; 9])]);
        let (report, attempts) = attempts(script).await;
        assert_eq!(attempts.len(), 4);
        assert_eq!(report.verdict(), Verdict::Failed(Kind::Locked));
    }
}
