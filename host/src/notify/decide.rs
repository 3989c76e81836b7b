//! Decides which notices a run causes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Event;
use super::notice::{Item, Notice};
use crate::history::{
    Activity, AlertKind, OpenAlert, Part, PartKey, RecordedError, Run, Set, State,
};

/// The facts at the end of a run.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) hostname: &'a str,
    pub(super) now: Timestamp,
    /// The run that ended; `None` for a mere check.
    pub(super) run: Option<&'a Run>,
    /// Runs that died and are not reported yet.
    pub(super) died: &'a [Run],
    /// How everything stands after the run.
    pub(super) sets: &'a [Set],
    /// When things last succeeded.
    pub(super) successes: &'a BTreeMap<PartKey, Timestamp>,
    /// The open alerts.
    pub(super) open_alerts: BTreeSet<OpenAlert>,
}

/// The decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The events to report.
    pub(super) notices: Vec<Notice>,
    /// The alerts that are open from now on.
    pub(super) open_alerts: BTreeSet<OpenAlert>,
}

/// Decides what is told. Each failure is told, and its end once. What is stale is told once, and
/// that it is no longer.
pub(super) fn decide(seen: &Seen<'_>) -> Decision {
    let mut open_alerts = seen.open_alerts.clone();
    let mut notices = Vec::new();
    for died in seen.died {
        let failed = died.parts.iter().filter(|part| concerns(part));
        tell_failures(
            seen,
            Event::Failure,
            died,
            failed,
            &mut open_alerts,
            &mut notices,
        );
    }
    let mut recovered = BTreeSet::new();
    if let Some(run) = seen.run.filter(|run| !run.was_interrupted()) {
        let bad = |part: &&Part| concerns(part) && part.state != State::Ok;
        for event in [Event::Failure, Event::Verify, Event::Drill] {
            let failed = run.parts.iter().filter(bad);
            let failed = failed.filter(|part| failure_of(&part.key) == event);
            tell_failures(seen, event, run, failed, &mut open_alerts, &mut notices);
        }
        let good = run.parts.iter().filter(|part| part.state == State::Ok);
        for part in good {
            if open_alerts.remove(&failed(&part.key)) {
                recovered.insert(part.key.clone());
            }
        }
    }
    let mut stale = Vec::new();
    for set in seen.sets {
        let open_alert = OpenAlert {
            kind: AlertKind::Stale,
            key: set.key(),
        };
        if !set.stale && open_alerts.remove(&open_alert) {
            recovered.insert(set.key());
        } else if set.stale && open_alerts.insert(open_alert) {
            stale.push(set);
        }
    }
    notices.extend(tell_stale(seen, &stale));
    notices.extend(tell_recovered(seen, recovered, &open_alerts));
    Decision {
        notices,
        open_alerts,
    }
}

/// Whether its failure is told. Who restores or probes sees how it goes.
fn concerns(part: &Part) -> bool {
    !matches!(part.key.activity, Activity::Restore | Activity::Probe)
}

/// The event for a failure.
fn failure_of(key: &PartKey) -> Event {
    match key.activity {
        Activity::Check => Event::Verify,
        Activity::Drill => Event::Drill,
        _ => Event::Failure,
    }
}

fn failed(key: &PartKey) -> OpenAlert {
    OpenAlert {
        kind: AlertKind::Failed,
        key: key.clone(),
    }
}

fn tell_failures<'a>(
    seen: &Seen<'_>,
    event: Event,
    run: &Run,
    parts: impl Iterator<Item = &'a Part>,
    open_alerts: &mut BTreeSet<OpenAlert>,
    notices: &mut Vec<Notice>,
) {
    let items: Vec<_> = parts
        .map(|part| Item {
            key: part.key.clone(),
            what: match part.state {
                State::Died => "never ended",
                State::Incomplete => "is incomplete",
                _ => "failed",
            }
            .to_owned(),
            error: part.detail.error.clone().or_else(|| explain(run, part)),
            last_success: seen.successes.get(&part.key).copied(),
        })
        .collect();
    if items.is_empty() {
        return;
    }
    open_alerts.extend(items.iter().map(|item| failed(&item.key)));
    let jobs = run.job.clone().into_iter().collect();
    notices.push(Notice::new(
        event,
        seen.hostname,
        jobs,
        Some(run),
        items,
        seen.now,
    ));
}

/// The text for a part without an error.
fn explain(run: &Run, part: &Part) -> Option<RecordedError> {
    let (code, message, help) = match part.state {
        State::Died => (
            "died",
            "the process was killed, or the machine stopped",
            Some(match &part.key.sink {
                Some(sink) => format!(
                    "run it again; if {sink} is locked, `tthost unlock --sink {sink}` removes the lock"
                ),
                None => "run it again".to_owned(),
            }),
        ),
        State::Incomplete => (
            "incomplete",
            "something could not be read, or changed meanwhile",
            run.id
                .map(|id| format!("`tthost logs {id}` says what is missing")),
        ),
        _ => return None,
    };
    Some(RecordedError {
        code: code.into(),
        subject: None,
        message: message.into(),
        help,
    })
}

fn tell_stale(seen: &Seen<'_>, stale: &[&Set]) -> Option<Notice> {
    let mut jobs: Vec<_> = stale.iter().flat_map(|set| set.jobs.clone()).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let items: Vec<_> = stale
        .iter()
        .map(|set| Item {
            key: set.key(),
            what: "is too old".into(),
            error: Some(RecordedError {
                code: "stale".into(),
                subject: None,
                message: "nothing succeeded for longer than the job allows".into(),
                help: Some("see why with `tthost status`; `tthost history` lists the runs".into()),
            }),
            last_success: set.last_success,
        })
        .collect();
    (!items.is_empty())
        .then(|| Notice::new(Event::Stale, seen.hostname, jobs, None, items, seen.now))
}

/// Of what recovered in one respect and not in another, nothing is told.
fn tell_recovered(
    seen: &Seen<'_>,
    recovered: BTreeSet<PartKey>,
    open_alerts: &BTreeSet<OpenAlert>,
) -> Option<Notice> {
    let items: Vec<_> = recovered
        .into_iter()
        .filter(|key| !open_alerts.iter().any(|open_alert| open_alert.key == *key))
        .map(|key| Item {
            last_success: seen.successes.get(&key).copied(),
            key,
            what: "works again".into(),
            error: None,
        })
        .collect();
    let job = seen.run.and_then(|run| run.job.clone());
    (!items.is_empty()).then(|| {
        Notice::new(
            Event::Recovery,
            seen.hostname,
            job.into_iter().collect(),
            seen.run,
            items,
            seen.now,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Detail, SetState};

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).expect("it is a time")
    }

    fn key() -> PartKey {
        PartKey::backup("db", "local")
    }

    fn run(key: PartKey, state: State, exit_code: Option<u8>) -> Run {
        Run {
            id: Some(1),
            command: "run".into(),
            job: Some("nightly".into()),
            started: second(10),
            ended: None,
            state,
            exit_code,
            error: None,
            parts: vec![Part {
                key,
                state,
                detail: Detail::default(),
            }],
        }
    }

    fn set(stale: bool) -> Set {
        Set {
            source: "db".into(),
            sink: "local".into(),
            jobs: vec!["nightly".into()],
            state: SetState::Ok,
            stale,
            last_run: None,
            last_success: None,
            next_run: None,
            last_drill: None,
            total_bytes_processed: None,
            growth: None,
            data_added: None,
        }
    }

    /// The events for a run, and the alerts that stay open.
    fn decided(
        run: Option<&Run>,
        died: &[Run],
        sets: &[Set],
        open_alerts: BTreeSet<OpenAlert>,
    ) -> (Vec<Event>, BTreeSet<OpenAlert>) {
        let decision = decide(&Seen {
            hostname: "db1",
            now: second(100),
            run,
            died,
            sets,
            successes: &BTreeMap::new(),
            open_alerts,
        });
        let events = decision.notices.iter().map(|notice| notice.event);
        (events.collect(), decision.open_alerts)
    }

    #[test]
    fn each_failure_is_told_and_its_end_once() {
        let failure = run(key(), State::Failed, Some(1));
        let success = run(key(), State::Ok, Some(0));
        let (events, open_alerts) = decided(Some(&failure), &[], &[], BTreeSet::new());
        assert_eq!((events, open_alerts.len()), (vec![Event::Failure], 1));
        let (events, open_alerts) = decided(Some(&failure), &[], &[], open_alerts);
        assert_eq!((events, open_alerts.len()), (vec![Event::Failure], 1));
        let other = run(PartKey::backup("files", "local"), State::Ok, Some(0));
        let (events, open_alerts) = decided(Some(&other), &[], &[], open_alerts);
        assert_eq!((events, open_alerts.len()), (vec![], 1));
        let (events, open_alerts) = decided(Some(&success), &[], &[], open_alerts);
        assert_eq!((events, open_alerts.len()), (vec![Event::Recovery], 0));
        assert_eq!(decided(Some(&success), &[], &[], open_alerts).0, []);
    }

    #[test]
    fn what_is_stale_is_told_once_and_its_end_once() {
        let (events, open_alerts) = decided(None, &[], &[set(true)], BTreeSet::new());
        assert_eq!(events, [Event::Stale]);
        let (events, open_alerts) = decided(None, &[], &[set(true)], open_alerts);
        assert_eq!(events, []);
        let success = run(key(), State::Ok, Some(0));
        let (events, open_alerts) = decided(Some(&success), &[], &[set(false)], open_alerts);
        assert_eq!((events, open_alerts.len()), (vec![Event::Recovery], 0));
    }

    #[test]
    fn a_run_that_died_is_a_failure_and_one_that_was_interrupted_is_not() {
        let died = run(key(), State::Died, None);
        let (events, open_alerts) = decided(None, &[died], &[], BTreeSet::new());
        assert_eq!((events, open_alerts.len()), (vec![Event::Failure], 1));
        let interrupted = run(key(), State::Failed, Some(130));
        assert_eq!(decided(Some(&interrupted), &[], &[], open_alerts).0, []);
    }

    #[test]
    fn checks_and_drills_that_fail_are_events_of_their_own_and_a_restoration_none() {
        let of = |activity| {
            let failure = run(PartKey::of_sink(activity, "local"), State::Failed, Some(1));
            decided(Some(&failure), &[], &[], BTreeSet::new()).0
        };
        assert_eq!(of(Activity::Check), [Event::Verify]);
        assert_eq!(of(Activity::Drill), [Event::Drill]);
        assert_eq!(of(Activity::Prune), [Event::Failure]);
        assert_eq!(of(Activity::Restore), []);
    }
}
