//! The daemon with a fake clock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::error::Kind;
use crate::schedule::Schedule;

/// A clock on which time passes only while the daemon waits.
struct FakeClock {
    now: RefCell<Timestamp>,
    /// When the clock comes to the first time, it shows the second.
    jumps: RefCell<VecDeque<(Timestamp, Timestamp)>>,
}

impl FakeClock {
    fn new(now: &str, jumps: &[(&str, &str)]) -> Self {
        let jumps = jumps.iter().map(|(from, to)| (time(from), time(to)));
        Self {
            now: RefCell::new(time(now)),
            jumps: RefCell::new(jumps.collect()),
        }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn wait(&self, until: Option<Timestamp>) {
        let Some(until) = until else {
            return std::future::pending().await;
        };
        let mut jumps = self.jumps.borrow_mut();
        let next = jumps.front().copied();
        let reached = match next {
            Some((from, to)) if from <= until => {
                jumps.pop_front();
                to
            }
            _ => until,
        };
        self.now.replace(reached);
    }
}

/// Notes when a job starts, and ends it at once. After so many runs it has the daemon stopped.
struct Notes<'a> {
    clock: &'a FakeClock,
    started: RefCell<Vec<Timestamp>>,
    orders: mpsc::Sender<Order>,
    enough: usize,
}

impl Runner for Notes<'_> {
    async fn run(&self, _: &str, _: &CancellationToken) -> Result<i32> {
        self.started.borrow_mut().push(self.clock.now());
        if self.started.borrow().len() == self.enough {
            self.orders
                .try_send(Order::Stop)
                .expect("the daemon listens");
        }
        Ok(0)
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn job(schedule: &str, memory: &Memory) -> Job {
    Job {
        name: "nightly".into(),
        timing: Timing {
            schedule: Schedule::parse(schedule).expect(schedule),
            jitter: None,
        },
        memory: memory.clone(),
    }
}

/// Remembers a run, as the one before the daemon.
fn remember(memory: &Memory, started: &str) {
    let record = format!("{{\"started\": \"{started}\", \"ended\": null, \"exit_code\": null}}");
    fs::create_dir_all(memory.directory()).expect("there is room");
    fs::write(memory.record("nightly"), record).expect("there is room");
}

/// The first times at which a job starts.
async fn starts(schedule: &str, clock: FakeClock, last: Option<&str>, count: usize) -> Vec<String> {
    let state = TempDir::new().expect("there is room");
    let memory = Memory::new(state.path(), "/etc/tthost.toml");
    if let Some(last) = last {
        remember(&memory, last);
    }
    let (orders, mut received) = mpsc::channel(1);
    let notes = Notes {
        clock: &clock,
        started: RefCell::default(),
        orders,
        enough: count,
    };
    let load = || Ok(vec![job(schedule, &memory)]);
    daemon(&clock, &notes, load, &mut received)
        .await
        .expect("it stops");
    let started = notes.started.borrow();
    started.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_job_starts_at_its_times() {
    let clock = FakeClock::new("2026-05-01T12:00:00Z", &[]);
    let found = starts("daily 02:00 UTC", clock, None, 2).await;
    assert_eq!(found, ["2026-05-02T02:00:00Z", "2026-05-03T02:00:00Z"]);
}

#[tokio::test]
async fn a_time_that_clocks_skip_or_show_twice_is_one_run() {
    let spring = FakeClock::new("2026-03-28T12:00:00Z", &[]);
    let found = starts("daily 02:30 Europe/Berlin", spring, None, 2).await;
    assert_eq!(found, ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    let autumn = FakeClock::new("2026-10-24T12:00:00Z", &[]);
    let found = starts("daily 02:30 Europe/Berlin", autumn, None, 2).await;
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[tokio::test]
async fn what_was_missed_while_the_daemon_was_away_is_made_up_for_once() {
    let clock = FakeClock::new("2026-05-04T12:00:00Z", &[]);
    let found = starts("daily 02:00 UTC", clock, Some("2026-05-01T02:00:00Z"), 2).await;
    assert_eq!(found, ["2026-05-04T12:00:00Z", "2026-05-05T02:00:00Z"]);
}

#[tokio::test]
async fn what_a_machine_slept_through_is_made_up_for_once() {
    let slept = [("2026-05-01T23:00:00Z", "2026-05-04T07:00:00Z")];
    let clock = FakeClock::new("2026-05-01T12:00:00Z", &slept);
    let found = starts("daily 02:00 UTC", clock, None, 2).await;
    assert_eq!(found, ["2026-05-04T07:00:00Z", "2026-05-05T02:00:00Z"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_repeats_nothing() {
    let set_back = [("2026-05-02T02:10:00Z", "2026-05-02T01:30:00Z")];
    let clock = FakeClock::new("2026-05-01T12:00:00Z", &set_back);
    let found = starts("daily 02:00 UTC", clock, None, 2).await;
    assert_eq!(found, ["2026-05-02T02:00:00Z", "2026-05-03T02:00:00Z"]);
}

#[tokio::test]
async fn a_start_in_a_future_that_was_wrong_keeps_nothing_waiting() {
    let clock = FakeClock::new("2026-05-01T12:00:00Z", &[]);
    let found = starts("daily 02:00 UTC", clock, Some("2038-01-19T03:14:07Z"), 1).await;
    assert_eq!(found, ["2026-05-02T02:00:00Z"]);
}

#[tokio::test]
async fn a_machine_delays_a_job_within_its_jitter() {
    let state = TempDir::new().expect("there is room");
    let memory = Memory::new(state.path(), "/etc/tthost.toml");
    let mut job = job("daily 02:00 UTC", &memory);
    job.timing.jitter = Some(Duration::from_hours(1));
    let now = time("2026-05-01T12:00:00Z");
    let mut plan = Plan::new(now);
    plan.machine = "a machine".into();
    let due = plan.due(&job, now).expect("it is idle");
    let delay = due.duration_since(time("2026-05-02T02:00:00Z"));
    assert!(
        delay.is_positive() && delay < jiff::SignedDuration::from_hours(1),
        "{delay}"
    );
    assert_eq!(plan.due(&job, now), Some(due));
}

#[tokio::test]
async fn a_job_that_runs_is_not_started_and_one_that_ran_elsewhere_has_run() {
    let state = TempDir::new().expect("there is room");
    let memory = Memory::new(state.path(), "/etc/tthost.toml");
    let jobs = [job("hourly", &memory)];
    let mut plan = Plan::new(time("2026-05-01T00:30:00Z"));
    let at = time("2026-05-01T01:00:00Z");
    assert_eq!(plan.take_due(&jobs, at), ["nightly"]);
    let later = time("2026-05-01T05:00:00Z");
    assert!(plan.take_due(&jobs, later).is_empty());
    assert_eq!(plan.next(&jobs, later), None);
    plan.end("nightly", &Ok(0));
    // A timer had its turn meanwhile.
    remember(&memory, "2026-05-01T05:00:00Z");
    assert!(plan.take_due(&jobs, later).is_empty());
    assert_eq!(plan.next(&jobs, later), Some(time("2026-05-01T06:00:00Z")));
}

/// Runs until it is stopped.
struct Long(RefCell<Vec<&'static str>>, mpsc::Sender<Order>);

impl Runner for Long {
    async fn run(&self, _: &str, stop: &CancellationToken) -> Result<i32> {
        self.0.borrow_mut().push("started");
        self.1.try_send(Order::Reload).expect("the daemon listens");
        self.1.try_send(Order::Stop).expect("the daemon listens");
        stop.cancelled().await;
        self.0.borrow_mut().push("stopped");
        Ok(130)
    }
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_a_stop_waits_for_the_run() {
    let state = TempDir::new().expect("there is room");
    let memory = Memory::new(state.path(), "/etc/tthost.toml");
    let clock = FakeClock::new("2026-05-01T12:00:00Z", &[]);
    let (orders, mut received) = mpsc::channel(2);
    let runner = Long(RefCell::default(), orders);
    let loads = RefCell::new(0);
    let load = || {
        *loads.borrow_mut() += 1;
        match *loads.borrow() {
            1 => Ok(vec![job("hourly", &memory)]),
            _ => Err(Error::new(Kind::Config, "it is broken")),
        }
    };
    let (stopped, told) =
        crate::event::diary::of(daemon(&clock, &runner, load, &mut received)).await;
    stopped.expect("it stops in good order");
    assert_eq!(*runner.0.borrow(), ["started", "stopped"]);
    let told: Vec<_> = told.into_iter().map(|(_, message)| message).collect();
    assert!(
        told.iter()
            .any(|line| line.contains("the schedule stays as it was")),
        "{told:?}"
    );
}
