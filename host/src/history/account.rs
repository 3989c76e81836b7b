//! From the reports of operations to parts of a run.

use super::record::{Activity, Part, Problem, State, Subject, Thing};
use crate::contract::Receipt;
use crate::error::{Error, Kind};
use crate::operation::{
    Class, Findings, Report, Severity, Verdict, check, copy, drill, probe, prune, restore, run,
    scheduled,
};

/// A report that the history can keep.
pub trait Account: Report {
    /// What became of the parts of what was going to be done.
    fn parts(&self, subject: &Subject) -> Vec<Part>;
}

impl Account for run::Report {
    fn parts(&self, _: &Subject) -> Vec<Part> {
        let mut parts = Vec::new();
        for source in &self.sources {
            match &source.result {
                Ok(capture) => {
                    let sinks = capture.sinks.iter();
                    parts.extend(sinks.map(|sink| backup(&source.source, capture, sink)));
                }
                Err(error) => {
                    let thing = Thing {
                        activity: Activity::Backup,
                        source: Some(source.source.clone()),
                        sink: None,
                    };
                    parts.push(Part::failed(thing, Problem::from(error)));
                }
            }
        }
        parts
    }
}

fn backup(source: &str, capture: &run::Capture, sink: &run::SinkReport) -> Part {
    let thing = Thing::backup(source, &sink.sink);
    match &sink.result {
        Ok(receipt) => {
            let mut part = Part::new(
                thing,
                match (capture.complete, capture.aftermath.first()) {
                    (true, None) => State::Ok,
                    _ => State::Incomplete,
                },
            );
            part.detail.error = capture.aftermath.first().map(Problem::from);
            stored(&mut part, receipt);
            part
        }
        Err(error) => Part::failed(thing, Problem::from(error)),
    }
}

fn stored(part: &mut Part, receipt: &Receipt) {
    part.detail.snapshot_id = receipt.snapshot.as_ref().map(ToString::to_string);
    part.detail.total_bytes_processed = Some(receipt.bytes_total);
    part.detail.data_added = Some(receipt.bytes_added);
}

impl Account for prune::Report {
    fn parts(&self, _: &Subject) -> Vec<Part> {
        let of_sink = |sink: &prune::SinkReport| {
            let thing = Thing::of_sink(Activity::Prune, &sink.sink);
            let access = match &sink.result {
                // It reads, stores and removes.
                Ok(prune::Outcome::Pruned { .. }) => Class::Full,
                Ok(prune::Outcome::Skipped { class, .. }) => *class,
                Err(error) => return Part::failed(thing, Problem::from(error)),
            };
            let mut part = Part::new(thing, State::Ok);
            part.detail.access = Some(access.to_string());
            part
        };
        self.sinks.iter().map(of_sink).collect()
    }
}

impl Account for check::Report {
    fn parts(&self, subject: &Subject) -> Vec<Part> {
        let planned = subject.planned.iter();
        planned
            .map(|thing| checked(thing.clone(), &self.findings))
            .collect()
    }
}

/// What a check came to.
fn checked(thing: Thing, findings: &Findings) -> Part {
    let damaged = findings.findings.iter();
    let damaged = damaged
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.what.as_str());
    let damaged: Vec<_> = damaged.take(MOST_FINDINGS).collect();
    if damaged.is_empty() {
        return Part::new(thing, State::Ok);
    }
    let places = findings.errors();
    let problem = Problem {
        code: Kind::Corrupt.code().to_owned(),
        subject: None,
        message: format!("it is damaged in {places} places: {}", damaged.join("; ")),
        help: Some(
            "keep what is there, and see the page on troubleshooting under \"Damage\"".into(),
        ),
    };
    Part::failed(thing, problem)
}

/// So many are told with a check that failed. All are in its log.
const MOST_FINDINGS: usize = 3;

impl Account for scheduled::Report {
    fn parts(&self, subject: &Subject) -> Vec<Part> {
        let mut parts = self.backup.parts(subject);
        if let Some(prune) = &self.prune {
            parts.extend(prune.parts(subject));
        }
        for check in &self.verify {
            let thing = Thing::of_sink(Activity::Check, &check.sink);
            match &check.result {
                Ok(scheduled::Outcome::Checked(report)) => {
                    parts.push(checked(thing, &report.findings));
                }
                Ok(scheduled::Outcome::Skipped { .. }) => {}
                Err(error) => parts.push(Part::failed(thing, Problem::from(error))),
            }
        }
        if let Some(drill) = &self.drill {
            parts.extend(drill.parts(subject));
        }
        parts
    }
}

impl Account for drill::Report {
    fn parts(&self, _: &Subject) -> Vec<Part> {
        let drills = self.drills.iter().filter_map(|drill| {
            let thing = Thing::drill(&drill.source, &drill.sink);
            let passed = match &drill.result {
                Ok(drill::Outcome::Passed(passed)) => passed,
                // What may not be read was not tried.
                Ok(drill::Outcome::Skipped { .. }) => return None,
                Err(error) => return Some(Part::failed(thing, Problem::from(error))),
            };
            let state = if passed.complete {
                State::Ok
            } else {
                State::Incomplete
            };
            let mut part = Part::new(thing, state);
            part.detail.snapshot_id = Some(passed.snapshot.id.to_string());
            Some(part)
        });
        drills.collect()
    }
}

impl Account for copy::Report {
    fn parts(&self, subject: &Subject) -> Vec<Part> {
        let failure = self
            .copied
            .iter()
            .find_map(|copied| copied.result.as_ref().err());
        whole(subject, self.verdict(), failure)
    }
}

impl Account for restore::Report {
    fn parts(&self, subject: &Subject) -> Vec<Part> {
        let mut parts = whole(subject, self.verdict(), None);
        for part in &mut parts {
            part.detail.snapshot_id = Some(self.snapshot.id.to_string());
        }
        parts
    }
}

impl Account for probe::Report {
    fn parts(&self, subject: &Subject) -> Vec<Part> {
        let mut parts = whole(subject, self.verdict(), None);
        for part in &mut parts {
            part.detail.access = Some(self.class.to_string());
        }
        parts
    }
}

/// All that was planned, with the verdict on the whole.
fn whole(subject: &Subject, verdict: Verdict, error: Option<&Error>) -> Vec<Part> {
    let of_thing = |thing: &Thing| {
        let mut part = Part::new(thing.clone(), State::from(verdict));
        part.detail.error = error.map(Problem::from);
        part
    };
    subject.planned.iter().map(of_thing).collect()
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
