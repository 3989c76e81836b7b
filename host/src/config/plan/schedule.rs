//! Plans what schedules run: the jobs, their times and their steps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::{ForgetRequest, PruneRequest, RunRequest, Work};
use crate::config::file::{Job, Verify};
use crate::config::{Config, Environment, FilterRequest, HOST, quantity};
use crate::daemon;
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::operation::check::Reading;
use crate::operation::scheduled::Memory;
use crate::operation::{Sink, run, scheduled};
use crate::schedule::{Schedule, Timing, check_name};
use crate::timer;

/// When a job runs that does not say when.
const DEFAULT_SCHEDULE: &str = "daily 02:00";

/// The job that is scheduled where none has a schedule.
const DEFAULT_JOB: &str = "full";

/// Variables that a timer starts with. Everything else has to be in an environment file.
const CARRIED: [&str; 4] = ["HOME", "PATH", "TTHOST_CACHE_DIR", "TTHOST_STATE_DIR"];

/// Where temporary files are. Sandboxed services have such directories of their own.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// A request about timers.
#[derive(Clone, Debug)]
pub struct TimerRequest {
    /// Names of jobs; empty for those that [`Config::scheduled_jobs`] finds.
    pub jobs: Vec<String>,
    /// Store in all sinks that are marked as offsite too.
    pub offsite: bool,
    /// The program to start.
    pub program: PathBuf,
}

impl Config {
    /// The jobs that run on their own: the named ones, else those with a schedule, else the job
    /// `full`, else the only one.
    pub fn scheduled_jobs(&self, named: &[String]) -> Result<Vec<String>> {
        let jobs = &self.file.jobs;
        let with_schedule = jobs.iter().filter(|(_, job)| job.schedule.is_some());
        let mut found: Vec<String> = match named {
            [] => with_schedule.map(|(name, _)| name.clone()).collect(),
            named => named.to_vec(),
        };
        if found.is_empty() && jobs.contains_key(DEFAULT_JOB) {
            found.push(DEFAULT_JOB.into());
        }
        if found.is_empty() && jobs.len() == 1 {
            found.extend(jobs.keys().cloned());
        }
        if found.is_empty() {
            let known: Vec<_> = jobs.keys().map(String::as_str).collect();
            let (text, help) = match known.as_slice() {
                [] => (
                    "the configuration has no jobs",
                    "add [jobs.NAME] with sources and sinks, or write a configuration with `tthost init`".into(),
                ),
                known => (
                    "no job has a schedule",
                    format!("add `schedule = \"{DEFAULT_SCHEDULE}\"` to one of them, or name it: {}", known.join(", ")),
                ),
            };
            return Err(Error::new(Kind::Config, text).help(help));
        }
        for name in &found {
            self.job(name)?;
            check_name(name)?;
        }
        Ok(found)
    }

    /// When a job runs.
    pub fn timing(&self, job: &str) -> Result<Timing> {
        self.job(job)?.timing()
    }

    /// Where is remembered when jobs ran.
    pub fn schedule_memory(&self) -> Result<Memory> {
        let configuration = self.as_recorded();
        Ok(Memory::new(&self.state_directory()?, configuration.name()))
    }

    /// Plans what a schedule starts.
    pub fn plan_scheduled(&self, name: &str, offsite: bool) -> Result<scheduled::Plan> {
        check_name(name)?;
        let job = self.job(name)?;
        let backup = self.plan_run(RunRequest {
            work: Work::Job(name.into()),
            offsite,
            tags: Vec::new(),
            hostname: None,
            dry_run: false,
            force: false,
        })?;
        let prune = self.plan_prune(PruneRequest {
            sinks: job.sinks.clone(),
            offsite,
            forget: ForgetRequest::ByPolicy {
                retention: Box::default(),
                filter: FilterRequest::default(),
                force: false,
            },
            reclaim: true,
            dry_run: false,
        })?;
        let reading = match job.verify.unwrap_or(Verify::Structure(true)) {
            Verify::Structure(false) => None,
            Verify::Structure(true) => Some(Reading::Nothing),
            Verify::Rotation(runs) => Some(self.rotation(runs)?),
        };
        let check = |reading: Reading| {
            let sinks = backup.sinks.iter().cloned();
            let plans = sinks.map(|sink| scheduled::SinkCheckPlan {
                sink,
                reading: reading.clone(),
            });
            plans.collect()
        };
        let verify = reading.map_or_else(Vec::new, check);
        Ok(scheduled::Plan {
            job: name.into(),
            memory: self.schedule_memory()?,
            drill: self.plan_job_drill(job, &backup)?,
            backup,
            prune: job.prune.unwrap_or(true).then_some(prune),
            verify,
        })
    }

    /// Plans what a daemon runs.
    pub fn plan_daemon(&self, named: &[String]) -> Result<Vec<daemon::Job>> {
        let memory = self.schedule_memory()?;
        let job = |name: String| {
            Ok(daemon::Job {
                timing: self.timing(&name)?,
                name,
                memory: memory.clone(),
            })
        };
        self.scheduled_jobs(named)?.into_iter().map(job).collect()
    }

    /// Plans what starts jobs. Whatever they lack without this process's environment is found here.
    pub fn plan_timers(&self, request: &TimerRequest) -> Result<Vec<timer::Entry>> {
        let path = self.absolute_path()?;
        let carried = self.environment.only(&CARRIED);
        let mut environment = carried.clone();
        if let Some(file) = self.environment.file() {
            environment.add_file(file)?;
        }
        let started = Self::load(Some(&path), environment)?;
        let entry = |job: String| {
            if self.job(&job)?.schedule.is_none() {
                warn!(
                    help = format!("add `schedule = \"{DEFAULT_SCHEDULE}\"` to [jobs.{job}]"),
                    "the job {job} has no schedule in the configuration: `tthost status` and alerts do not notice when it is late"
                );
            }
            let here = self.plan_scheduled(&job, request.offsite)?;
            let there = started.plan_scheduled(&job, request.offsite).map_err(|error| {
                error.help("timers start without your variables: write them to a file, and give --env-file FILE")
            })?;
            let missing = missing(&here.backup, &there.backup);
            self.timer_entry(request, &carried, &there, missing)
        };
        let jobs = self.scheduled_jobs(&request.jobs)?;
        jobs.into_iter().map(entry).collect()
    }

    /// All jobs that could start on their own.
    pub fn plan_schedule_status(&self) -> Result<Vec<timer::Scheduled>> {
        let jobs = self
            .file
            .jobs
            .keys()
            .filter(|name| check_name(name).is_ok());
        jobs.map(|job| self.scheduled(job)).collect()
    }

    fn scheduled(&self, job: &str) -> Result<timer::Scheduled> {
        Ok(timer::Scheduled {
            job: job.into(),
            timing: self.timing(job)?,
            says_when: self.job(job)?.schedule.is_some(),
            memory: self.schedule_memory()?,
            config: self.absolute_path()?,
        })
    }

    fn timer_entry(
        &self,
        request: &TimerRequest,
        carried: &Environment,
        plan: &scheduled::Plan,
        missing: BTreeSet<String>,
    ) -> Result<timer::Entry> {
        let scheduled = self.scheduled(&plan.job)?;
        let mut files = vec![request.program.clone(), scheduled.config.clone()];
        let mut command = vec![
            as_text(&request.program)?,
            "--config".into(),
            as_text(&scheduled.config)?,
        ];
        if let Some(file) = self.environment.file() {
            command.extend(["--env-file".into(), as_text(file)?]);
            files.push(file.to_owned());
        }
        command.extend(["schedule", "run", &plan.job].map(str::to_owned));
        command.extend(request.offsite.then(|| "--offsite".to_owned()));
        let mut writable = stores(&plan.backup.sinks);
        writable.extend([self.state_directory()?, self.cache_directory()?]);
        files.extend(paths(&plan.backup));
        let is_temporary = |path: &PathBuf| TEMPORARY.iter().any(|tmp| path.starts_with(tmp));
        let named = CARRIED
            .iter()
            .filter_map(|name| Some((*name, carried.get(name)?)));
        Ok(timer::Entry {
            scheduled,
            command,
            environment: named
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            uses_temporary: files.iter().chain(&writable).any(is_temporary),
            writable,
            missing,
        })
    }

    /// The configuration's file, wherever the program is started.
    pub fn absolute_path(&self) -> Result<PathBuf> {
        let Some(path) = &self.path else {
            let error = Error::new(Kind::Config, "there is no configuration file");
            return Err(error.help("write one with `tthost init`, or name it with --config"));
        };
        absolute(path)
    }
}

impl Job {
    /// When it runs, in case that it is scheduled.
    pub(in crate::config) fn timing(&self) -> Result<Timing> {
        let schedule = Schedule::parse(self.schedule.as_deref().unwrap_or(DEFAULT_SCHEDULE))?;
        let schedule = match &self.time_zone {
            Some(zone) => schedule.in_zone(zone)?,
            None => schedule,
        };
        let jitter = self.jitter.as_deref().map(quantity::duration).transpose();
        Ok(Timing {
            schedule,
            jitter: jitter.map_err(|why| Error::new(Kind::Config, format!("jitter: {why}")))?,
        })
    }
}

/// Everything on disk that a backup names.
fn paths(plan: &run::Plan) -> BTreeSet<PathBuf> {
    let mut paths = stores(&plan.sinks);
    for source in &plan.sources {
        let directories = source.spec.grants.directories.values();
        paths.extend(directories.map(|directory| directory.path.clone()));
        let trees = source
            .spec
            .grants
            .trees
            .values()
            .flat_map(|tree| &tree.paths);
        paths.extend(trees.map(|tree| tree.path.clone()));
        // Sockets of databases are named by variables.
        let values = source
            .spec
            .grants
            .commands
            .values()
            .flat_map(|command| command.env.values());
        let texts = values.filter_map(|value| std::str::from_utf8(value.expose()).ok());
        paths.extend(
            texts
                .filter(|text| text.starts_with('/'))
                .map(PathBuf::from),
        );
    }
    paths
}

/// The directories that sinks write to.
fn stores(sinks: &[Sink]) -> BTreeSet<PathBuf> {
    let specs = sinks.iter().flat_map(|sink| sink.spec.with_store());
    let directories = specs.flat_map(|spec| spec.grants.directories.values());
    let writable = directories.filter(|directory| directory.access == Access::ReadWrite);
    let paths = writable.filter_map(|directory| absolute(&directory.path).ok());
    paths.collect()
}

/// The variables that programs or snapshots would get here, and not there.
fn missing(here: &run::Plan, there: &run::Plan) -> BTreeSet<String> {
    let names = |plan: &run::Plan| -> BTreeSet<String> {
        let commands = plan
            .sources
            .iter()
            .flat_map(|source| source.spec.grants.commands.values());
        commands
            .flat_map(|command| command.env.keys().cloned())
            .collect()
    };
    let hosts = |plan: &run::Plan| -> Vec<_> {
        let sources = plan.sources.iter();
        sources.map(|source| source.hostname.clone()).collect()
    };
    let mut missing: BTreeSet<_> = names(here).difference(&names(there)).cloned().collect();
    if hosts(here) != hosts(there) {
        missing.insert(HOST.to_owned());
    }
    missing
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| {
        Error::new(Kind::Config, format!("{} has no place", path.display())).caused_by(cause)
    })
}

/// A path as units and crontab can hold it.
fn as_text(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        let text = format!(
            "a timer cannot name {}",
            path.display().to_string().escape_debug()
        );
        Error::new(Kind::Config, text).help("move it to a path of printable Unicode")
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn with_jobs(jobs: &[(&str, &str)]) -> Config {
        let job = |(name, keys): &(&str, &str)| {
            let parts = "sources = [\"dir:/srv\"]\nsinks = [\"restic-local\"]";
            format!("[jobs.{name}]\n{parts}\n{keys}\n")
        };
        let text: String = jobs.iter().map(job).collect();
        let variables = [("RESTIC_REPOSITORY", "/srv/repo"), ("RESTIC_PASSWORD", "x")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config::parse(
            &text,
            Some("/etc/tthost.toml".into()),
            variables.into_iter().collect(),
        )
        .expect("it is fine")
    }

    #[test]
    fn jobs_with_a_schedule_run_on_their_own_and_else_the_obvious_one() {
        let found = |jobs: &[(&str, &str)]| with_jobs(jobs).scheduled_jobs(&[]);
        let schedule = "schedule = \"hourly\"";
        let two = found(&[("a", schedule), ("b", ""), ("c", schedule)]).expect("they say so");
        assert_eq!(two, ["a", "c"]);
        assert_eq!(
            found(&[("db", ""), ("full", "")]).expect("it is obvious"),
            ["full"]
        );
        assert_eq!(found(&[("db", "")]).expect("it is the only one"), ["db"]);
        let error = found(&[("a", ""), ("b", "")]).expect_err("it could be either");
        assert!(
            error.next_step().expect("it helps").ends_with("a, b"),
            "{error:?}"
        );
        assert!(found(&[]).is_err());
        let error = found(&[("\"a b\"", schedule)]).expect_err("no unit can have that name");
        assert!(error.message().contains("\"a b\""), "{error}");
    }

    #[test]
    fn a_schedule_backs_up_prunes_and_checks_unless_the_job_says_otherwise() {
        let plan = with_jobs(&[("a", "")])
            .plan_scheduled("a", false)
            .expect("it is fine");
        assert_eq!(
            plan.prune.expect("it prunes").sinks[0].spec.name,
            "restic-local"
        );
        assert!(matches!(plan.verify[0].reading, Reading::Nothing));
        let rotating = with_jobs(&[("a", "verify = 30")]);
        let rotating = rotating.plan_scheduled("a", false).expect("it is fine");
        assert!(matches!(rotating.verify[0].reading, Reading::Rotation(_)));
        let config = with_jobs(&[("a", "prune = false\nverify = false")]);
        let plan = config.plan_scheduled("a", false).expect("it is fine");
        assert!(plan.prune.is_none() && plan.verify.is_empty());
        assert_eq!(
            sample()
                .timing("nightly")
                .expect("it has one")
                .schedule
                .to_string(),
            DEFAULT_SCHEDULE
        );
    }
}
