//! What is told of a run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Event;
use super::notice::{Item, Notice};
use crate::history::{Activity, Part, Problem, Run, Set, State, Thing, Trouble, TroubleKind};

/// What is known when a run has ended.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) hostname: &'a str,
    pub(super) now: Timestamp,
    /// The run that ended; none when somebody only looks.
    pub(super) run: Option<&'a Run>,
    /// Runs that died, and of which nobody has told.
    pub(super) died: &'a [Run],
    /// How everything stands after the run.
    pub(super) sets: &'a [Set],
    /// When things last succeeded.
    pub(super) successes: &'a BTreeMap<Thing, Timestamp>,
    /// What was told and is not over.
    pub(super) troubles: BTreeSet<Trouble>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What is told.
    pub(super) notices: Vec<Notice>,
    /// What was told and is not over from now on.
    pub(super) troubles: BTreeSet<Trouble>,
}

/// Decides what is told. Each failure is told, and its end once. What is stale is told once, and
/// that it is no longer.
pub(super) fn decide(seen: &Seen<'_>) -> Decision {
    let mut troubles = seen.troubles.clone();
    let mut notices = Vec::new();
    for died in seen.died {
        let failed = died.parts.iter().filter(|part| concerns(part));
        tell_failures(
            seen,
            Event::Failure,
            died,
            failed,
            &mut troubles,
            &mut notices,
        );
    }
    let mut recovered = BTreeSet::new();
    if let Some(run) = seen.run.filter(|run| !run.was_interrupted()) {
        let bad = |part: &&Part| concerns(part) && part.state != State::Ok;
        for event in [Event::Failure, Event::Verify, Event::Drill] {
            let failed = run.parts.iter().filter(bad);
            let failed = failed.filter(|part| failure_of(&part.thing) == event);
            tell_failures(seen, event, run, failed, &mut troubles, &mut notices);
        }
        let good = run.parts.iter().filter(|part| part.state == State::Ok);
        for part in good {
            if troubles.remove(&failed(&part.thing)) {
                recovered.insert(part.thing.clone());
            }
        }
    }
    let mut stale = Vec::new();
    for set in seen.sets {
        let trouble = Trouble {
            kind: TroubleKind::Stale,
            thing: set.thing(),
        };
        if !set.stale && troubles.remove(&trouble) {
            recovered.insert(set.thing());
        } else if set.stale && troubles.insert(trouble) {
            stale.push(set);
        }
    }
    notices.extend(tell_stale(seen, &stale));
    notices.extend(tell_recovered(seen, recovered, &troubles));
    Decision { notices, troubles }
}

/// Whether its failure is told. Who restores or probes sees how it goes.
fn concerns(part: &Part) -> bool {
    !matches!(part.thing.activity, Activity::Restore | Activity::Probe)
}

/// What a failure is told as.
fn failure_of(thing: &Thing) -> Event {
    match thing.activity {
        Activity::Check => Event::Verify,
        Activity::Drill => Event::Drill,
        _ => Event::Failure,
    }
}

fn failed(thing: &Thing) -> Trouble {
    Trouble {
        kind: TroubleKind::Failed,
        thing: thing.clone(),
    }
}

fn tell_failures<'a>(
    seen: &Seen<'_>,
    event: Event,
    run: &Run,
    parts: impl Iterator<Item = &'a Part>,
    troubles: &mut BTreeSet<Trouble>,
    notices: &mut Vec<Notice>,
) {
    let items: Vec<_> = parts
        .map(|part| Item {
            thing: part.thing.clone(),
            what: match part.state {
                State::Died => "never ended",
                State::Incomplete => "is incomplete",
                _ => "failed",
            }
            .to_owned(),
            error: part.detail.error.clone().or_else(|| explain(run, part)),
            last_success: seen.successes.get(&part.thing).copied(),
        })
        .collect();
    if items.is_empty() {
        return;
    }
    troubles.extend(items.iter().map(|item| failed(&item.thing)));
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

/// What is said of a part without an error of its own.
fn explain(run: &Run, part: &Part) -> Option<Problem> {
    let (code, message, help) = match part.state {
        State::Died => (
            "died",
            "the process was killed, or the machine stopped",
            Some(match &part.thing.sink {
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
    Some(Problem {
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
            thing: set.thing(),
            what: "is too old".into(),
            error: Some(Problem {
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
    recovered: BTreeSet<Thing>,
    troubles: &BTreeSet<Trouble>,
) -> Option<Notice> {
    let items: Vec<_> = recovered
        .into_iter()
        .filter(|thing| !troubles.iter().any(|trouble| trouble.thing == *thing))
        .map(|thing| Item {
            last_success: seen.successes.get(&thing).copied(),
            thing,
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

    fn thing() -> Thing {
        Thing::backup("db", "local")
    }

    fn run(thing: Thing, state: State, exit_code: Option<u8>) -> Run {
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
                thing,
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

    /// What is told of a run, and what stays.
    fn told(
        run: Option<&Run>,
        died: &[Run],
        sets: &[Set],
        troubles: BTreeSet<Trouble>,
    ) -> (Vec<Event>, BTreeSet<Trouble>) {
        let decision = decide(&Seen {
            hostname: "db1",
            now: second(100),
            run,
            died,
            sets,
            successes: &BTreeMap::new(),
            troubles,
        });
        let events = decision.notices.iter().map(|notice| notice.event);
        (events.collect(), decision.troubles)
    }

    #[test]
    fn each_failure_is_told_and_its_end_once() {
        let failure = run(thing(), State::Failed, Some(1));
        let success = run(thing(), State::Ok, Some(0));
        let (events, troubles) = told(Some(&failure), &[], &[], BTreeSet::new());
        assert_eq!((events, troubles.len()), (vec![Event::Failure], 1));
        let (events, troubles) = told(Some(&failure), &[], &[], troubles);
        assert_eq!((events, troubles.len()), (vec![Event::Failure], 1));
        let other = run(Thing::backup("files", "local"), State::Ok, Some(0));
        let (events, troubles) = told(Some(&other), &[], &[], troubles);
        assert_eq!((events, troubles.len()), (vec![], 1));
        let (events, troubles) = told(Some(&success), &[], &[], troubles);
        assert_eq!((events, troubles.len()), (vec![Event::Recovery], 0));
        assert_eq!(told(Some(&success), &[], &[], troubles).0, []);
    }

    #[test]
    fn what_is_stale_is_told_once_and_its_end_once() {
        let (events, troubles) = told(None, &[], &[set(true)], BTreeSet::new());
        assert_eq!(events, [Event::Stale]);
        let (events, troubles) = told(None, &[], &[set(true)], troubles);
        assert_eq!(events, []);
        let success = run(thing(), State::Ok, Some(0));
        let (events, troubles) = told(Some(&success), &[], &[set(false)], troubles);
        assert_eq!((events, troubles.len()), (vec![Event::Recovery], 0));
    }

    #[test]
    fn a_run_that_died_is_a_failure_and_one_that_was_interrupted_is_not() {
        let died = run(thing(), State::Died, None);
        let (events, troubles) = told(None, &[died], &[], BTreeSet::new());
        assert_eq!((events, troubles.len()), (vec![Event::Failure], 1));
        let interrupted = run(thing(), State::Failed, Some(130));
        assert_eq!(told(Some(&interrupted), &[], &[], troubles).0, []);
    }

    #[test]
    fn checks_and_drills_that_fail_are_events_of_their_own_and_a_restoration_none() {
        let of = |activity| {
            let failure = run(Thing::of_sink(activity, "local"), State::Failed, Some(1));
            told(Some(&failure), &[], &[], BTreeSet::new()).0
        };
        assert_eq!(of(Activity::Check), [Event::Verify]);
        assert_eq!(of(Activity::Drill), [Event::Drill]);
        assert_eq!(of(Activity::Prune), [Event::Failure]);
        assert_eq!(of(Activity::Restore), []);
    }
}
