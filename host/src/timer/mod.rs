//! Starts jobs on time with systemd timers or crontab entries.
//!
//! Everything that tthost writes names its configuration. Units and entries without that name belong to somebody else, and stay
//! unchanged.
//!
//! | module | holds |
//! |---|---|
//! | `systemd` | services and timers |
//! | `crontab` | entries between comments |

mod crontab;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::warn;

use crate::daemon::is_running;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::operation::Report;
use crate::operation::scheduled::{LastRun, Memory};
use crate::schedule::Timing;
use systemd::Systemd;

pub use systemd::Unit;

/// A job that may start on its own.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The job's name, which units can have.
    pub job: String,
    /// When it runs.
    pub timing: Timing,
    /// Whether the configuration says when, and not only a default.
    pub says_when: bool,
    /// Where it is remembered when jobs ran.
    pub memory: Memory,
    /// The configuration, by its absolute path.
    pub config: PathBuf,
}

/// A job with all that starting it takes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The job, and when it runs.
    pub scheduled: Scheduled,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables that it starts with.
    pub environment: BTreeMap<String, String>,
    /// Directories that it writes to.
    pub writable: BTreeSet<PathBuf>,
    /// Whether it needs something in the system's directories for temporary files.
    pub uses_temporary: bool,
    /// Variables that it has when it is started here, and will not have.
    pub missing: BTreeSet<String>,
}

/// Who starts jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// A timer of systemd: of the system for root, of the user for everybody else.
    Systemd,
    /// An entry in the user's crontab.
    Crontab,
}

/// The files and entries for jobs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Installation {
    /// Who starts them.
    pub scheduler: Scheduler,
    /// Whether that is a user's own systemd, which runs while the user is logged in.
    pub user: bool,
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The units; empty for crontab.
    pub units: Vec<Unit>,
    /// The crontab entry; `None` for systemd.
    pub crontab: Option<String>,
    /// Whether systemd does not run, so that nothing is enabled yet.
    pub offline: bool,
}

/// A job that starts on its own.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Job {
    /// Its name.
    pub job: String,
    /// When it runs, as the configuration says it.
    pub schedule: String,
    /// The next time, without the delay of the machine.
    #[serde(serialize_with = "json::optional_time")]
    pub next: Option<Timestamp>,
}

/// How things stand with a job.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Who starts it; none where neither does.
    pub installed: Option<Scheduler>,
    /// Whether a daemon starts it.
    pub daemon: bool,
    /// Whether what is installed has the schedule that the configuration has.
    pub current: bool,
    /// Its last run, if it ever ran on a schedule.
    pub last: Option<LastRun>,
}

/// How things stand with all jobs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Statuses {
    /// The jobs that start on their own, or should.
    pub jobs: Vec<Status>,
}

/// The removed files and entries.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Removal {
    /// The units.
    pub units: Vec<PathBuf>,
    /// The jobs whose entries in crontab went.
    pub crontab: Vec<String>,
}

impl Report for Installation {}

impl Report for Statuses {}

impl Report for Removal {}

impl Scheduler {
    /// The one that this machine has.
    pub fn detect() -> Result<Self> {
        if systemd::is_running() {
            return Ok(Self::Systemd);
        }
        if crontab::is_there() {
            return Ok(Self::Crontab);
        }
        let error = Error::new(
            Kind::Unsupported,
            "neither systemd nor crontab is on this machine",
        );
        Err(error.help("run `tthost daemon`, which starts jobs on time itself"))
    }
}

/// The files and entries that would be written for these jobs.
pub fn plan(scheduler: Scheduler, entries: &[Entry]) -> Result<Installation> {
    let mut installation = Installation {
        scheduler,
        user: false,
        jobs: entries.iter().map(|entry| job(&entry.scheduled)).collect(),
        units: Vec::new(),
        crontab: None,
        offline: false,
    };
    match scheduler {
        Scheduler::Systemd => {
            let systemd = Systemd::new()?;
            installation.units = entries
                .iter()
                .flat_map(|entry| systemd.units(entry))
                .collect();
            installation.user = !systemd.is_of_system();
            installation.offline = !systemd::is_running();
        }
        Scheduler::Crontab => {
            let blocks: Result<Vec<_>> = entries.iter().map(crontab::block).collect();
            installation.crontab = Some(blocks?.concat());
        }
    }
    Ok(installation)
}

/// Sees to it that these jobs start on time.
pub fn install(scheduler: Scheduler, entries: &[Entry]) -> Result<Installation> {
    for entry in entries.iter().filter(|entry| !entry.missing.is_empty()) {
        let names: Vec<_> = entry.missing.iter().map(String::as_str).collect();
        warn!(
            help = "write them to a file, and give --env-file FILE",
            "the job {} will run without the variables {} of this shell",
            entry.scheduled.job,
            names.join(", ")
        );
    }
    let installation = plan(scheduler, entries)?;
    match scheduler {
        Scheduler::Systemd => Systemd::new()?.install(&installation.units)?,
        Scheduler::Crontab => crontab::install(entries)?,
    }
    Ok(installation)
}

/// How things stand with these jobs. Those that nothing starts, and nothing should, are left out.
pub fn status(jobs: &[Scheduled]) -> Result<Statuses> {
    let systemd = Systemd::new()?;
    let crontab = crontab::read()?;
    let mut all = Vec::new();
    for scheduled in jobs {
        let daemon = is_running(&scheduled.memory, &scheduled.job);
        let found = (systemd.has(scheduled)?, crontab::has(&crontab, scheduled));
        let (installed, current) = match found {
            (Some(current), _) => (Some(Scheduler::Systemd), current),
            (None, Some(current)) => (Some(Scheduler::Crontab), current),
            (None, None) if scheduled.says_when || daemon => (None, true),
            (None, None) => continue,
        };
        all.push(Status {
            job: job(scheduled),
            installed,
            daemon,
            current,
            last: LastRun::of(&scheduled.memory, &scheduled.job).unwrap_or_else(|error| {
                warn!(help = error.next_step(), "{error}");
                None
            }),
        });
    }
    Ok(Statuses { jobs: all })
}

/// Removes what starts these jobs of a configuration; without names, all of its jobs.
pub fn remove(config: &Path, jobs: &[String]) -> Result<Removal> {
    Ok(Removal {
        units: Systemd::new()?.remove(config, jobs)?,
        crontab: crontab::remove(config, jobs)?,
    })
}

fn job(scheduled: &Scheduled) -> Job {
    let schedule = &scheduled.timing.schedule;
    Job {
        job: scheduled.job.clone(),
        schedule: schedule.to_string(),
        next: schedule.next(Timestamp::now()),
    }
}

/// This program, by the path at which others find it.
pub fn program() -> Result<PathBuf> {
    env::current_exe()
        .map_err(|cause| Error::new(Kind::Other, "tthost does not find itself").caused_by(cause))
}

/// Whether a program is on the way that the shell takes.
fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
