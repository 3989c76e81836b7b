//! What the history and the alerts need from the configuration.

use std::time::Duration;

use jiff::Timestamp;

use super::file::Job;
use super::plan::{DrillRequest, RunRequest, Work};
use super::{Config, builtin, quantity};
use crate::error::{Error, Kind, Result};
use crate::history::{Activity, Configuration, Expected, ExpectedJob, PartKey, PlannedRun};
use crate::notify::{Alert, Watching, hostname};
use crate::plugin::Role;

impl Config {
    /// What is needed to record commands and to tell of them. What is wrong with an alert is in its place.
    pub fn watching(&self) -> (Watching, Vec<Error>) {
        let (alerts, errors) = self.alerts();
        let watching = Watching {
            state: self.state_directory(),
            configuration: self.as_recorded(),
            alerts,
            expected: self.expected(),
            hostname: hostname(),
        };
        (watching, errors)
    }

    /// The key of its runs in the history.
    pub fn as_recorded(&self) -> Configuration {
        Configuration::of(self.path.as_deref())
    }

    /// Whom to tell, and what is wrong with others.
    fn alerts(&self) -> (Vec<Alert>, Vec<Error>) {
        let mut alerts = Vec::new();
        let mut errors = Vec::new();
        for name in self.file.alerts.keys() {
            match self.alert(name) {
                Ok(alert) => alerts.push(alert),
                Err(error) => errors.push(error),
            }
        }
        (alerts, errors)
    }

    /// The alert of this name, with its secrets.
    pub fn alert(&self, name: &str) -> Result<Alert> {
        let alerts = &self.file.alerts;
        let alert = alerts.get(name).ok_or_else(|| {
            let names: Vec<_> = alerts.keys().map(String::as_str).collect();
            super::unknown("alert", name, &names)
        })?;
        alert
            .lower(name, &self.base, &self.environment)
            .map_err(|error| self.placed(&["alerts", name], error))
            .map_err(|error| error.of(format!("alert {name}")))
    }

    /// The names of all alerts.
    pub fn alert_names(&self) -> Vec<&str> {
        self.file.alerts.keys().map(String::as_str).collect()
    }

    /// The expectations of runs.
    pub fn expected(&self) -> Expected {
        let names = |role| self.names(role).into_iter().map(str::to_owned);
        let jobs = self.file.jobs.iter().map(|(name, job)| ExpectedJob {
            name: name.clone(),
            sources: job.sources.clone(),
            sinks: job.sinks.clone(),
            stale_after: stale_after(job).unwrap_or_default(),
            next_run: next_run(job),
        });
        Expected {
            jobs: jobs.collect(),
            sinks: names(Role::Sink).collect(),
            sources: names(Role::Source).collect(),
            alerts: self.file.alerts.keys().cloned().collect(),
        }
    }

    /// The planned run of a scheduled job.
    pub fn scheduled_run(&self, job: &str, offsite: bool) -> Option<PlannedRun> {
        let request = RunRequest {
            work: Work::Job(job.to_owned()),
            offsite,
            tags: Vec::new(),
            hostname: None,
            dry_run: false,
            force: false,
        };
        let planned = self.planned_run(&request)?;
        Some(PlannedRun {
            command: "schedule run",
            ..planned
        })
    }

    /// What a run is going to do; none where nothing is recorded of it: it stores nothing, or nobody knows
    /// what is asked for.
    pub fn planned_run(&self, request: &RunRequest) -> Option<PlannedRun> {
        let (job, sources, sinks) = match &request.work {
            Work::Job(name) => {
                let job = self.file.jobs.get(name)?;
                (Some(name.clone()), &job.sources, &job.sinks)
            }
            Work::Named { sources, sinks } => (None, sources, sinks),
        };
        let sinks = self.with_offsite(sinks, request.offsite);
        if request.dry_run || !self.are_sources(sources) || !self.are_sinks(&sinks) {
            return None;
        }
        let keys = sources
            .iter()
            .flat_map(|source| sinks.iter().map(|sink| PartKey::backup(source, sink)));
        let parts: Vec<_> = keys.collect();
        (!parts.is_empty()).then_some(PlannedRun {
            command: "run",
            job,
            parts,
        })
    }

    /// What something is going to do to sinks; none where nobody knows them.
    pub fn planned_run_on_sinks(
        &self,
        command: &'static str,
        activity: Activity,
        sinks: &[String],
        offsite: bool,
    ) -> Option<PlannedRun> {
        let sinks = self.with_offsite(sinks, offsite);
        let is_known = !sinks.is_empty() && self.are_sinks(&sinks);
        let names = sinks.iter().map(String::as_str);
        is_known.then(|| PlannedRun::of_sinks(command, activity, names))
    }

    /// What a drill is going to do; none where nobody knows what is asked for.
    pub fn planned_drill(&self, request: &DrillRequest) -> Option<PlannedRun> {
        let sinks = self.with_offsite(&request.sinks, request.offsite);
        let sources = self.drilled_sources(&request.sources);
        if !self.are_sources(&sources) || !self.are_sinks(&sinks) {
            return None;
        }
        let keys = sources
            .iter()
            .flat_map(|source| sinks.iter().map(|sink| PartKey::drill(source, sink)));
        let parts: Vec<_> = keys.collect();
        (!parts.is_empty()).then_some(PlannedRun {
            command: "drill",
            job: None,
            parts,
        })
    }

    /// The names of sinks, with those that are marked as offsite where they are asked for, each once.
    fn with_offsite(&self, names: &[String], offsite: bool) -> Vec<String> {
        let marked = if offsite {
            self.offsite().unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut sinks = names.to_vec();
        for name in marked {
            if !sinks.iter().any(|sink| sink == name) {
                sinks.push(name.to_owned());
            }
        }
        sinks
    }

    /// Whether all sources are known by the configuration or without one.
    fn are_sources(&self, names: &[String]) -> bool {
        let known = self.names(Role::Source);
        let mut names = names.iter();
        names.all(|name| known.contains(&name.as_str()) || builtin::source(name).is_some())
    }

    fn are_sinks(&self, names: &[String]) -> bool {
        let known = self.names(Role::Sink);
        names.iter().all(|name| known.contains(&name.as_str()))
    }
}

/// How old the last success of a job may become: what the job says, else half as much again as its schedule
/// lets pass.
pub(super) fn stale_after(job: &Job) -> Result<Option<Duration>> {
    if let Some(text) = &job.stale_after {
        let duration = quantity::duration(text);
        return duration
            .map(Some)
            .map_err(|text| Error::new(Kind::Config, format!("stale-after: {text}")));
    }
    if job.schedule.is_none() {
        return Ok(None);
    }
    let wait = job.timing()?.longest_wait();
    Ok(Some(wait + wait / 2))
}

/// When a job with a schedule runs next.
fn next_run(job: &Job) -> Option<Timestamp> {
    job.schedule.as_ref()?;
    job.timing().ok()?.schedule.next(Timestamp::now())
}
