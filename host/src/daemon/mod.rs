//! Runs jobs on time without systemd and cron.
//!
//! Each run is a process of its own: its memory is freed at its end, and a crash does not affect other runs. The daemon stores
//! the times of earlier runs on disk, so that a new daemon continues where the previous one stopped.
//!
//! | module | holds |
//! |---|---|
//! | the current time, and waiting for a time |
//! | `job_claims` | locks by which a daemon claims its jobs |
//! | a run as a process |

mod clock;
mod job_claims;
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use rustix::system::uname;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::{Error, Result};
use crate::operation::scheduled::{LastRun, Memory};
use crate::own_file;
use crate::schedule::Timing;
use job_claims::JobClaims;

pub use clock::{Clock, SystemClock};
pub use job_claims::is_running;
pub use process::Program;

/// A job that runs on its own.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// When it runs.
    pub timing: Timing,
    /// Where it is remembered when jobs ran.
    pub memory: Memory,
}

/// What a daemon is told while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To read the configuration anew. Runs go on.
    Reload,
    /// To end all runs in good order, and then itself.
    Stop,
}

/// Runs a job.
pub trait Runner {
    /// Runs it to its end, and ends it in good order once `stop` is cancelled. Answers its exit code.
    fn run(&self, job: &str, stop: &CancellationToken) -> impl Future<Output = Result<i32>>;
}

/// Runs jobs on time until it is told to stop.
pub async fn daemon(
    clock: &impl Clock,
    runner: &impl Runner,
    load: impl Fn() -> Result<Vec<Job>>,
    orders: &mut mpsc::Receiver<Order>,
) -> Result<()> {
    let mut jobs = load()?;
    let mut claims = JobClaims::default();
    claims.set(&jobs)?;
    let mut plan = Plan::new(clock.now());
    let stop = CancellationToken::new();
    let mut runs = FuturesUnordered::new();
    plan.announce(&jobs, clock.now());
    loop {
        let now = clock.now();
        for job in plan.take_due(&jobs, now) {
            info!("the job {job} starts");
            let stop = &stop;
            runs.push(async move {
                let result = runner.run(&job, stop).await;
                (job, result)
            });
        }
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Reload) => match load().and_then(|jobs| {
                    claims.set(&jobs)?;
                    Ok(jobs)
                }) {
                    Ok(loaded) => {
                        info!("the configuration was read anew");
                        jobs = loaded;
                        plan.announce(&jobs, now);
                    }
                    Err(error) => {
                        tell(&error);
                        warn!(
                            help = "mend the file, and send SIGHUP again",
                            "the schedule stays as it was, but each run reads the configuration itself, and fails until then"
                        );
                    }
                },
                Some(Order::Stop) | None => break,
            },
            Some((job, result)) = runs.next() => plan.end(&job, &result),
            () = clock.wait(plan.next(&jobs, now)) => {}
        }
    }
    if !runs.is_empty() {
        info!("stopping: the runs that go on are ended");
    }
    stop.cancel();
    while let Some((job, result)) = runs.next().await {
        plan.end(&job, &result);
    }
    Ok(())
}

/// What is known of the jobs' runs.
struct Plan {
    /// When the daemon began.
    begun: Timestamp,
    /// When it last started a job, whatever came of that.
    started: BTreeMap<String, Timestamp>,
    /// The jobs that run.
    running: Vec<String>,
    /// What the machine's delays come from.
    machine: String,
}

impl Plan {
    fn new(begun: Timestamp) -> Self {
        Self {
            begun,
            started: BTreeMap::new(),
            running: Vec::new(),
            machine: machine(),
        }
    }

    /// The jobs that have to start now. They count as started.
    fn take_due(&mut self, jobs: &[Job], now: Timestamp) -> Vec<String> {
        // Where the clock was set back, it began earlier than it seemed.
        self.begun = self.begun.min(now);
        let is_due = |job: &&Job| self.due(job, now).is_some_and(|due| due <= now);
        let due: Vec<_> = jobs
            .iter()
            .filter(is_due)
            .map(|job| job.name.clone())
            .collect();
        for job in &due {
            self.started.insert(job.clone(), now);
            self.running.push(job.clone());
        }
        due
    }

    /// When the next job is due; none while all of them run.
    fn next(&self, jobs: &[Job], now: Timestamp) -> Option<Timestamp> {
        jobs.iter().filter_map(|job| self.due(job, now)).min()
    }

    /// When a job is due that does not run: at the first time after its last start. If that has
    /// passed, it was missed, and is made up for once.
    fn due(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        if self.running.contains(&job.name) {
            return None;
        }
        let last = LastRun::of(&job.memory, &job.name).unwrap_or_else(|error| {
            tell(&error);
            None
        });
        let starts = [
            last.map(|last| last.started),
            self.started.get(&job.name).copied(),
        ];
        // One that is further ahead than any wait comes from a clock that was wrong.
        let is_sensible =
            |start: &Timestamp| *start <= now || ahead(*start, now) <= job.timing.longest_wait();
        let last = starts.into_iter().flatten().filter(is_sensible).max();
        let next = job.timing.schedule.next(last.unwrap_or(self.begun))?;
        let delay = job.timing.delay(&format!("{} {}", self.machine, job.name));
        next.checked_add(delay).ok()
    }

    fn end(&mut self, job: &str, result: &Result<i32>) {
        self.running.retain(|running| running != job);
        match result {
            Ok(0) => info!("the job {job} is done"),
            Ok(code) => error!("the job {job} ended with exit code {code}"),
            Err(error) => tell(error),
        }
    }

    fn announce(&self, jobs: &[Job], now: Timestamp) {
        for job in jobs {
            let schedule = &job.timing.schedule;
            let due = self.due(job, now);
            let due = due.map_or("right now".into(), |due| format!("next at {due}"));
            info!("the job {} runs {schedule}, {due}", job.name);
        }
    }
}

/// How far ahead of now a later time is.
fn ahead(later: Timestamp, now: Timestamp) -> Duration {
    later
        .duration_since(now)
        .try_into()
        .unwrap_or(Duration::ZERO)
}

/// What tells this machine from others.
fn machine() -> String {
    let id = own_file::read_text(Path::new("/etc/machine-id")).unwrap_or_default();
    match id.trim() {
        "" => uname().nodename().to_string_lossy().into_owned(),
        id => id.to_owned(),
    }
}

fn tell(error: &Error) {
    error!(error = error as &(dyn std::error::Error + 'static));
}

#[cfg(test)]
mod tests;
