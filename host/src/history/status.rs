//! The status of each source in each sink, from the history and the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::query::Filter;
use super::record::{Activity, Part, PartKey, RecordedError, Run, State};
use super::store::History;
use crate::error::{Kind, Result};
use crate::json;
use crate::operation::{Report, Verdict};

/// The expectations of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The jobs.
    pub jobs: Vec<ExpectedJob>,
    /// All sinks, by name.
    pub sinks: Vec<String>,
    /// Whether a source exists.
    pub sources: BTreeSet<String>,
    /// Whether an alert exists.
    pub alerts: BTreeSet<String>,
}

/// A job, and how often it must succeed.
#[derive(Clone, Debug, Default)]
pub struct ExpectedJob {
    /// Its name.
    pub name: String,
    /// Its sources.
    pub sources: Vec<String>,
    /// Its sinks.
    pub sinks: Vec<String>,
    /// The maximum age of its last success; none for any age.
    pub stale_after: Option<Duration>,
    /// The time of its next run, if it has a schedule.
    pub next_run: Option<Timestamp>,
}

/// The status of everything.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Each source in each sink.
    pub sets: Vec<Set>,
    /// The sinks.
    pub sinks: Vec<SinkStatus>,
    /// How alerts were last delivered.
    pub alerts: Vec<Delivery>,
    /// The newest runs that died.
    pub died: Vec<Run>,
    /// Other configurations that share the state directory, by their files; their runs do not count. Empty text stands for the
    /// environment without a file.
    pub other_configurations: Vec<String>,
}

/// The status of a source in a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Set {
    /// The source.
    pub source: String,
    /// The sink.
    pub sink: String,
    /// The jobs that back it up.
    pub jobs: Vec<String>,
    /// The state of its last backup.
    pub state: SetState,
    /// Whether its last success is too old.
    pub stale: bool,
    /// Its last backup.
    pub last_run: Option<Last>,
    /// The time of its last success.
    #[serde(serialize_with = "json::optional_time")]
    pub last_success: Option<Timestamp>,
    /// The time of its next run.
    #[serde(serialize_with = "json::optional_time")]
    pub next_run: Option<Timestamp>,
    /// Its last drill from there.
    pub last_drill: Option<Last>,
    /// Its bytes at the last success.
    pub total_bytes_processed: Option<u64>,
    /// The difference to the previous success, in bytes.
    pub growth: Option<i64>,
    /// Bytes that the last success added to the sink, before compression.
    pub data_added: Option<u64>,
}

/// The state of the last backup of a source in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SetState {
    /// There was none.
    Never,
    /// It is running.
    Running,
    /// It is complete.
    Ok,
    /// It is incomplete.
    Incomplete,
    /// It failed.
    Failed,
    /// It never ended.
    Died,
}

impl SetState {
    /// Its name in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Died => "died",
        }
    }
}

/// The last run of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Last {
    /// The number of the run.
    pub run: i64,
    /// When it ended, or began if it did not end.
    #[serde(serialize_with = "json::time")]
    pub time: Timestamp,
    /// Its state.
    pub state: State,
    /// The error.
    pub error: Option<RecordedError>,
}

impl Last {
    fn new((run, time, part): (i64, Timestamp, Part)) -> Self {
        Self {
            run,
            time,
            state: part.state,
            error: part.detail.error,
        }
    }

    fn is_bad(&self) -> bool {
        matches!(self.state, State::Failed | State::Died)
    }
}

/// The status of a sink.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinkStatus {
    /// The sink.
    pub sink: String,
    /// The class of its credentials, if known.
    pub access: Option<String>,
    /// The last check.
    pub last_check: Option<Last>,
    /// The last pruning.
    pub last_prune: Option<Last>,
    /// The last restore from it.
    pub last_restore: Option<Last>,
}

/// The last delivery of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delivery {
    /// The alert.
    pub alert: String,
    /// The time of the delivery.
    #[serde(serialize_with = "json::time")]
    pub time: Timestamp,
    /// The error; null if it was delivered.
    pub error: Option<String>,
}

impl Set {
    /// Whether it needs attention.
    pub fn is_bad(&self) -> bool {
        let is_proved_wrong = self.last_drill.as_ref().is_some_and(Last::is_bad);
        self.stale || is_proved_wrong || !matches!(self.state, SetState::Ok | SetState::Running)
    }

    /// The sets of the sink.
    pub fn key(&self) -> PartKey {
        PartKey::backup(&self.source, &self.sink)
    }
}

impl Status {
    /// The current status. Without a history, nothing has run yet.
    pub fn new(history: Option<&History>, expected: &Expected, now: Timestamp) -> Result<Self> {
        let Some(history) = history else {
            let sets = keys(&[], expected).into_keys();
            return Ok(Self {
                sets: sets
                    .map(|(source, sink)| never(source, sink, expected))
                    .collect(),
                sinks: expected.sinks.iter().map(|sink| unused(sink)).collect(),
                alerts: Vec::new(),
                died: Vec::new(),
                other_configurations: Vec::new(),
            });
        };
        let mut died = history.runs(&Filter::default(), RECENT)?;
        died.retain(|run| run.state == State::Died);
        let mut alerts = history.deliveries()?;
        alerts.retain(|delivery| expected.alerts.contains(&delivery.alert));
        Ok(Self {
            sets: sets(history, expected, now)?,
            sinks: expected
                .sinks
                .iter()
                .map(|sink| of_sink(history, sink))
                .collect::<Result<_>>()?,
            alerts,
            died,
            other_configurations: history.other_configurations()?,
        })
    }
}

impl Status {
    /// The worst drill from a sink: a failed one, else the oldest.
    pub fn last_drill(&self, sink: &str) -> Option<&Last> {
        let of_sink = self.sets.iter().filter(|set| set.sink == sink);
        let drills = of_sink.filter_map(|set| set.last_drill.as_ref());
        drills.min_by_key(|last| (!last.is_bad(), last.time))
    }
}

/// The number of runs to search for dead ones.
const RECENT: u32 = 20;

impl Report for Status {
    /// Anything that needs attention is a failure.
    fn verdict(&self) -> Verdict {
        let bad_sink = |sink: &SinkStatus| {
            let looked_at = [&sink.last_check, &sink.last_prune];
            looked_at.into_iter().flatten().any(Last::is_bad)
        };
        let bad = self.sets.iter().any(Set::is_bad)
            || self.sinks.iter().any(bad_sink)
            || self.alerts.iter().any(|alert| alert.error.is_some());
        if bad {
            Verdict::Failed(Kind::Other)
        } else {
            Verdict::Done
        }
    }
}

/// The status of each source in each sink.
pub(crate) fn sets(history: &History, expected: &Expected, now: Timestamp) -> Result<Vec<Set>> {
    let began = history.began()?;
    let known = history.backed_up()?;
    let mut sets = Vec::new();
    for ((source, sink), jobs) in keys(&known, expected) {
        let key = PartKey::backup(&source, &sink);
        let last = history.newest(&key, false, 1)?.pop().map(Last::new);
        let successes = history.newest(&key, true, 2)?;
        let mut set = never(source, sink, expected);
        let drill = PartKey::drill(&set.source, &set.sink);
        set.last_drill = history.newest(&drill, false, 1)?.pop().map(Last::new);
        set.jobs = jobs;
        assess(&mut set, expected, last, &successes, began, now);
        // What was tried once by hand, and never worked, is not a backup.
        if !is_adhoc(&set.source) || !set.jobs.is_empty() || set.last_success.is_some() {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// Sources in sinks, by jobs and by what was backed up, each with the jobs that back it up. What the
/// configuration has no more is left out.
fn keys(
    known: &[(String, String, Option<String>)],
    expected: &Expected,
) -> BTreeMap<(String, String), Vec<String>> {
    let mut keys: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for job in &expected.jobs {
        for source in &job.sources {
            for sink in &job.sinks {
                let jobs = keys.entry((source.clone(), sink.clone())).or_default();
                jobs.push(job.name.clone());
            }
        }
    }
    for (source, sink, job) in known {
        let is_there = is_adhoc(source) || expected.sources.contains(source);
        if !is_there || !expected.sinks.contains(sink) {
            continue;
        }
        let jobs = keys.entry((source.clone(), sink.clone())).or_default();
        // An offsite sink belongs to a job by being asked for.
        if let Some(job) = job
            && !jobs.contains(job)
            && expected.jobs.iter().any(|known| known.name == *job)
        {
            jobs.push(job.clone());
        }
    }
    keys
}

/// Whether a source works without a configuration, such as `dir:/srv`.
fn is_adhoc(source: &str) -> bool {
    source.contains(':')
}

fn never(source: String, sink: String, expected: &Expected) -> Set {
    let of_it = |job: &&ExpectedJob| job.sources.contains(&source) && job.sinks.contains(&sink);
    let jobs = expected.jobs.iter().filter(of_it);
    let next_run = jobs.clone().filter_map(|job| job.next_run).min();
    Set {
        jobs: jobs.map(|job| job.name.clone()).collect(),
        source,
        sink,
        state: SetState::Never,
        stale: false,
        last_run: None,
        last_success: None,
        next_run,
        last_drill: None,
        total_bytes_processed: None,
        growth: None,
        data_added: None,
    }
}

/// Computes the status of a set from its last run and its last two successes.
fn assess(
    set: &mut Set,
    expected: &Expected,
    last: Option<Last>,
    successes: &[(i64, Timestamp, Part)],
    began: Timestamp,
    now: Timestamp,
) {
    set.state = match last.as_ref().map(|last| last.state) {
        None => SetState::Never,
        Some(State::Running) => SetState::Running,
        Some(State::Ok) => SetState::Ok,
        Some(State::Incomplete) => SetState::Incomplete,
        Some(State::Failed) => SetState::Failed,
        Some(State::Died) => SetState::Died,
    };
    set.last_run = last;
    let bytes = |at: usize| successes.get(at)?.2.detail.total_bytes_processed;
    set.last_success = successes.first().map(|(_, time, _)| *time);
    set.total_bytes_processed = bytes(0);
    set.growth = bytes(0).zip(bytes(1)).and_then(|(now, before)| {
        let [now, before] = [now, before].map(i64::try_from);
        now.ok()?.checked_sub(before.ok()?)
    });
    set.data_added = successes
        .first()
        .and_then(|(.., part)| part.detail.data_added);
    let jobs = expected.jobs.iter();
    let jobs = jobs.filter(|job| set.jobs.contains(&job.name));
    set.next_run = jobs.clone().filter_map(|job| job.next_run).min();
    let limit = jobs.filter_map(|job| job.stale_after).min();
    // What never succeeded is too old when the history is.
    let age = now.duration_since(set.last_success.unwrap_or(began));
    // How old something is that is dated in the future, nobody knows.
    let is_stale = |limit| SignedDuration::try_from(limit).is_ok_and(|limit| age.abs() > limit);
    set.stale = limit.is_some_and(is_stale);
}

fn unused(sink: &str) -> SinkStatus {
    SinkStatus {
        sink: sink.to_owned(),
        access: None,
        last_check: None,
        last_prune: None,
        last_restore: None,
    }
}

fn of_sink(history: &History, sink: &str) -> Result<SinkStatus> {
    let newest = |activity| history.newest(&PartKey::of_sink(activity, sink), false, 1);
    let mut access: Vec<_> = newest(Activity::Probe)?;
    access.extend(newest(Activity::Prune)?);
    let access = access
        .into_iter()
        .filter(|(.., part)| part.detail.access.is_some())
        .max_by_key(|(run, ..)| *run);
    let last = |activity| Ok(newest(activity)?.pop().map(Last::new));
    Ok(SinkStatus {
        sink: sink.to_owned(),
        access: access.and_then(|(.., part)| part.detail.access),
        last_check: last(Activity::Check)?,
        last_prune: last(Activity::Prune)?,
        last_restore: last(Activity::Restore)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).expect("it is a time")
    }

    fn expected() -> Expected {
        Expected {
            jobs: vec![ExpectedJob {
                name: "nightly".into(),
                sources: vec!["db".into()],
                sinks: vec!["local".into()],
                stale_after: Some(Duration::from_secs(100)),
                next_run: None,
            }],
            sinks: vec!["local".into(), "offsite".into()],
            sources: ["db".to_owned()].into(),
            alerts: BTreeSet::new(),
        }
    }

    fn success(time: i64, bytes: u64) -> (i64, Timestamp, Part) {
        let mut part = Part::new(PartKey::backup("db", "local"), State::Ok);
        part.detail.total_bytes_processed = Some(bytes);
        (time, second(time), part)
    }

    #[test]
    fn a_set_is_stale_when_its_last_success_is_older_than_its_job_allows() {
        let expected = expected();
        let at = |now, successes: &[(i64, Timestamp, Part)]| {
            let mut set = never("db".into(), "local".into(), &expected);
            let last = successes.first().cloned().map(Last::new);
            assess(
                &mut set,
                &expected,
                last,
                successes,
                second(10),
                second(now),
            );
            set
        };
        let set = at(100, &[success(50, 9), success(20, 12)]);
        assert_eq!(
            (set.state, set.stale, set.growth),
            (SetState::Ok, false, Some(-3))
        );
        assert!(at(151, &[success(50, 9)]).stale);
        // Nothing ever succeeded: it counts from the beginning of the history.
        assert_eq!((at(110, &[]).stale, at(111, &[]).stale), (false, true));
        assert_eq!(at(110, &[]).state, SetState::Never);
    }

    #[test]
    fn what_was_backed_up_for_a_job_belongs_to_it_and_what_is_gone_does_not_count() {
        let row = |source: &str, sink: &str, job: Option<&str>| {
            (source.to_owned(), sink.to_owned(), job.map(str::to_owned))
        };
        let known = [
            row("db", "offsite", Some("nightly")),
            row("db", "gone", Some("nightly")),
            row("gone", "local", None),
            row("dir:/srv", "local", None),
        ];
        let keys = keys(&known, &expected());
        let found: Vec<_> = keys
            .iter()
            .map(|((source, sink), jobs)| format!("{source} {sink} {}", jobs.join(",")))
            .collect();
        assert_eq!(
            found,
            ["db local nightly", "db offsite nightly", "dir:/srv local "]
        );
    }

    #[test]
    fn nothing_that_ran_yet_is_no_good_status() {
        let status = Status::new(None, &expected(), second(0)).expect("it needs nothing");
        assert_eq!(status.sets.len(), 1);
        assert_eq!(status.sets[0].state, SetState::Never);
        assert_eq!(status.verdict(), Verdict::Failed(Kind::Other));
    }
}
