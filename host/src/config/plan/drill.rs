//! Plans a drill: the sources and the sinks.

use std::collections::BTreeSet;
use std::time::Duration;

use vec1::Vec1;

use super::{FilterRequest, label};
use crate::config::file::Job;
use crate::config::{Config, quantity};
use crate::error::{Error, Kind, Result};
use crate::operation::drill::{Plan, Source};
use crate::operation::{run, scheduled};
use crate::plugin::Role;

/// A request for a drill.
#[derive(Clone, Debug)]
pub struct DrillRequest {
    /// Names of sources; empty for those of all jobs.
    pub sources: Vec<String>,
    /// Names of sinks.
    pub sinks: Vec<String>,
    /// Restore from all sinks that are marked as offsite too.
    pub offsite: bool,
    /// Only snapshots of one of these hosts; empty for any.
    pub hosts: Vec<String>,
}

impl Config {
    /// The sources that a drill is about.
    pub fn drilled_sources(&self, named: &[String]) -> Vec<String> {
        let of_jobs = self.file.jobs.values().flat_map(|job| &job.sources);
        let mut sources: Vec<_> = if named.is_empty() {
            of_jobs.cloned().collect()
        } else {
            named.to_vec()
        };
        let mut seen = BTreeSet::new();
        sources.retain(|source| seen.insert(source.clone()));
        sources
    }

    /// Plans a drill.
    pub fn plan_drill(&self, request: &DrillRequest) -> Result<Plan> {
        let source = |name: String| {
            let filter = FilterRequest {
                hosts: request.hosts.clone(),
                ..FilterRequest::default()
            };
            Ok(Source {
                spec: self.spec(Role::Source, &name)?,
                filter: self.filter(filter, Some(&name))?,
            })
        };
        let sources = Vec1::try_from_vec(self.drilled_sources(&request.sources));
        let sources = sources.map_err(|_| self.unnamed(Role::Source, ""))?;
        let (sinks, unusable) = self.sinks(&request.sinks, request.offsite)?;
        Ok(Plan {
            sources: sources.try_mapped(source)?,
            sinks: Vec1::try_from_vec(sinks).map_err(|_| self.unnamed(Role::Sink, ""))?,
            unusable,
            label: label(),
        })
    }

    /// Plans the drill of a job: of what its backup has just stored.
    pub(super) fn plan_job_drill(
        &self,
        job: &Job,
        backup: &run::Plan,
    ) -> Result<Option<scheduled::DrillPlan>> {
        let Some(every) = drill_every(job)? else {
            return Ok(None);
        };
        let source = |source: &run::Source| {
            let name = &source.spec.name;
            let filter = FilterRequest {
                hosts: vec![source.hostname.clone().unwrap_or_else(|| self.hostname())],
                ..FilterRequest::default()
            };
            Ok(Source {
                spec: source.spec.clone(),
                filter: self.filter(filter, Some(name))?,
            })
        };
        let sources = backup.sources.try_mapped_ref(source)?;
        Ok(Some(scheduled::DrillPlan {
            drill: Plan {
                sources,
                sinks: backup.sinks.clone(),
                // The backup tells of them.
                unusable: Vec::new(),
                label: label(),
            },
            every,
        }))
    }
}

/// How often a job restores for trial, if it does.
pub(in crate::config) fn drill_every(job: &Job) -> Result<Option<Duration>> {
    let every = job.drill.as_deref().map(quantity::duration).transpose();
    every.map_err(|text| Error::new(Kind::Config, format!("drill: {text}")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_sources_of_jobs_are_drilled_unless_some_are_named() {
        let plan = |sources: &[&str]| {
            sample().plan_drill(&DrillRequest {
                sources: sources.iter().map(|&name| name.to_owned()).collect(),
                sinks: vec!["local".into()],
                offsite: false,
                hosts: vec!["db1".into()],
            })
        };
        let all = plan(&[]).expect("it is fine");
        let names: Vec<_> = all
            .sources
            .iter()
            .map(|source| &*source.spec.name)
            .collect();
        assert_eq!(names, ["db", "files"]);
        let filter = &all.sources[1].filter;
        assert!(
            filter
                .source
                .as_ref()
                .is_some_and(|source| source.name == "files")
        );
        assert_eq!(filter.hosts.as_ref().map(Vec1::len), Some(1));
        let one = plan(&["db"]).expect("it is fine");
        assert_eq!(one.sources.len(), 1);
        assert!(plan(&["nothing"]).is_err());
    }
}
