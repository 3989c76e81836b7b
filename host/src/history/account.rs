//! Turns the reports of operations into the parts of a run.

use super::record::{Activity, Part, PartKey, PlannedRun, RecordedError, State};
use crate::contract::Receipt;
use crate::error::{Error, Kind};
use crate::operation::{
    Class, Findings, Report, Severity, Verdict, check, copy, drill, probe, prune, restore, run,
    scheduled,
};

/// A report that the history can keep.
pub trait Account: Report {
    /// What became of the parts of what was going to be done.
    fn parts(&self, planned: &PlannedRun) -> Vec<Part>;
}

impl Account for run::Report {
    fn parts(&self, _: &PlannedRun) -> Vec<Part> {
        let mut parts = Vec::new();
        for source in &self.sources {
            match &source.result {
                Ok(capture) => {
                    let sinks = capture.sinks.iter();
                    parts.extend(sinks.map(|sink| backup(&source.source, capture, sink)));
                }
                Err(error) => {
                    let key = PartKey {
                        activity: Activity::Backup,
                        source: Some(source.source.clone()),
                        sink: None,
                    };
                    parts.push(Part::failed(key, RecordedError::from(error)));
                }
            }
        }
        parts
    }
}

fn backup(source: &str, capture: &run::Capture, sink: &run::SinkReport) -> Part {
    let key = PartKey::backup(source, &sink.sink);
    match &sink.result {
        Ok(receipt) => {
            let mut part = Part::new(
                key,
                match (capture.complete, capture.aftermath.first()) {
                    (true, None) => State::Ok,
                    _ => State::Incomplete,
                },
            );
            part.detail.error = capture.aftermath.first().map(RecordedError::from);
            stored(&mut part, receipt);
            part
        }
        Err(error) => Part::failed(key, RecordedError::from(error)),
    }
}

fn stored(part: &mut Part, receipt: &Receipt) {
    part.detail.snapshot_id = receipt.snapshot.as_ref().map(ToString::to_string);
    part.detail.total_bytes_processed = Some(receipt.bytes_total);
    part.detail.data_added = Some(receipt.bytes_added);
}

impl Account for prune::Report {
    fn parts(&self, _: &PlannedRun) -> Vec<Part> {
        let of_sink = |sink: &prune::SinkReport| {
            let key = PartKey::of_sink(Activity::Prune, &sink.sink);
            let access = match &sink.result {
                // It reads, stores and removes.
                Ok(prune::Outcome::Pruned { .. }) => Class::Full,
                Ok(prune::Outcome::Skipped { class, .. }) => *class,
                Err(error) => return Part::failed(key, RecordedError::from(error)),
            };
            let mut part = Part::new(key, State::Ok);
            part.detail.access = Some(access.to_string());
            part
        };
        self.sinks.iter().map(of_sink).collect()
    }
}

impl Account for check::Report {
    fn parts(&self, planned: &PlannedRun) -> Vec<Part> {
        let planned = planned.parts.iter();
        planned
            .map(|key| checked(key.clone(), &self.findings))
            .collect()
    }
}

/// What a check came to.
fn checked(key: PartKey, findings: &Findings) -> Part {
    let damaged = findings.findings.iter();
    let damaged = damaged
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.what.as_str());
    let damaged: Vec<_> = damaged.take(MAX_FINDINGS).collect();
    if damaged.is_empty() {
        return Part::new(key, State::Ok);
    }
    let places = findings.errors();
    let error = RecordedError {
        code: Kind::Corrupt.code().to_owned(),
        subject: None,
        message: format!("it is damaged in {places} places: {}", damaged.join("; ")),
        help: Some(
            "keep what is there, and see the page on troubleshooting under \"Damage\"".into(),
        ),
    };
    Part::failed(key, error)
}

/// So many are told with a check that failed. All are in its log.
const MAX_FINDINGS: usize = 3;

impl Account for scheduled::Report {
    fn parts(&self, planned: &PlannedRun) -> Vec<Part> {
        let mut parts = self.backup.parts(planned);
        if let Some(prune) = &self.prune {
            parts.extend(prune.parts(planned));
        }
        for check in &self.verify {
            let key = PartKey::of_sink(Activity::Check, &check.sink);
            match &check.result {
                Ok(scheduled::Outcome::Checked(report)) => {
                    parts.push(checked(key, &report.findings));
                }
                Ok(scheduled::Outcome::Skipped { .. }) => {}
                Err(error) => parts.push(Part::failed(key, RecordedError::from(error))),
            }
        }
        if let Some(drill) = &self.drill {
            parts.extend(drill.parts(planned));
        }
        parts
    }
}

impl Account for drill::Report {
    fn parts(&self, _: &PlannedRun) -> Vec<Part> {
        let drills = self.drills.iter().filter_map(|drill| {
            let key = PartKey::drill(&drill.source, &drill.sink);
            let passed = match &drill.result {
                Ok(drill::Outcome::Passed(passed)) => passed,
                // What may not be read was not tried.
                Ok(drill::Outcome::Skipped { .. }) => return None,
                Err(error) => return Some(Part::failed(key, RecordedError::from(error))),
            };
            let state = if passed.complete {
                State::Ok
            } else {
                State::Incomplete
            };
            let mut part = Part::new(key, state);
            part.detail.snapshot_id = Some(passed.snapshot.id.to_string());
            Some(part)
        });
        drills.collect()
    }
}

impl Account for copy::Report {
    fn parts(&self, planned: &PlannedRun) -> Vec<Part> {
        let failure = self
            .copied
            .iter()
            .find_map(|copied| copied.result.as_ref().err());
        all_parts(planned, self.verdict(), failure)
    }
}

impl Account for restore::Report {
    fn parts(&self, planned: &PlannedRun) -> Vec<Part> {
        let mut parts = all_parts(planned, self.verdict(), None);
        for part in &mut parts {
            part.detail.snapshot_id = Some(self.snapshot.id.to_string());
        }
        parts
    }
}

impl Account for probe::Report {
    fn parts(&self, planned: &PlannedRun) -> Vec<Part> {
        let mut parts = all_parts(planned, self.verdict(), None);
        for part in &mut parts {
            part.detail.access = Some(self.class.to_string());
        }
        parts
    }
}

/// All that was planned, with the verdict on the whole.
fn all_parts(planned: &PlannedRun, verdict: Verdict, error: Option<&Error>) -> Vec<Part> {
    let of_key = |key: &PartKey| {
        let mut part = Part::new(key.clone(), State::from(verdict));
        part.detail.error = error.map(RecordedError::from);
        part
    };
    planned.parts.iter().map(of_key).collect()
}

impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done => Self::Ok,
            Verdict::Incomplete => Self::Incomplete,
            Verdict::Failed(_) => Self::Failed,
        }
    }
}
