//! Plans a run: the sources and the sinks.

use vec1::Vec1;

use crate::config::{Config, builtin};
use crate::error::Result;
use crate::operation::run::{Plan, Source};
use crate::plugin::Role;

/// A request for a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The sources and sinks of the run.
    pub work: Work,
    /// Store in all sinks that are marked as offsite too.
    pub offsite: bool,
    /// Tags of the snapshots, besides those of the job.
    pub tags: Vec<String>,
    /// The host that the snapshots bear, in the place of the job's.
    pub hostname: Option<String>,
    /// Read and compute everything, store nothing.
    pub dry_run: bool,
    /// Read the files too that have not changed since the snapshot before.
    pub force: bool,
}

/// The sources and sinks of the run.
#[derive(Clone, Debug)]
pub enum Work {
    /// The sources and sinks of a job.
    Job(String),
    /// These.
    Named {
        /// Names of sources.
        sources: Vec<String>,
        /// Names of sinks.
        sinks: Vec<String>,
    },
}

impl Config {
    /// Plans a run.
    pub fn plan_run(&self, request: RunRequest) -> Result<Plan> {
        let (sources, sinks, mut tags, job_host) = match request.work {
            Work::Job(name) => {
                let job = self.job(&name)?.clone();
                (job.sources, job.sinks, job.tags, job.host)
            }
            Work::Named { sources, sinks } => (sources, sinks, Vec::new(), None),
        };
        let Ok(sources) = Vec1::try_from_vec(sources) else {
            return Err(self.unnamed(Role::Source, ", or a job with --job"));
        };
        let (sinks, unusable) = self.sinks(&sinks, request.offsite)?;
        let Ok(sinks) = Vec1::try_from_vec(sinks) else {
            return Err(self.unnamed(Role::Sink, ""));
        };
        tags.extend(request.tags);
        let source = |name: String| -> Result<Source> {
            let name = builtin::canonical(&name);
            let mut all = self.tags(&name);
            for tag in &tags {
                if !all.contains(tag) {
                    all.push(tag.clone());
                }
            }
            let own_host = self
                .file
                .sources
                .get(&name)
                .and_then(|source| source.host.clone());
            Ok(Source {
                spec: self.spec(Role::Source, &name)?,
                tags: all,
                hostname: request
                    .hostname
                    .clone()
                    .or(own_host)
                    .or_else(|| job_host.clone())
                    .or_else(|| self.named_host()),
            })
        };
        Ok(Plan {
            sources: sources.try_mapped(source)?,
            sinks,
            unusable,
            dry_run: request.dry_run,
            force: request.force,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn request(work: Work) -> RunRequest {
        RunRequest {
            work,
            offsite: false,
            tags: vec!["manual".into()],
            hostname: None,
            dry_run: false,
            force: false,
        }
    }

    fn named(sources: &[&str], sinks: &[&str]) -> Work {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Work::Named {
            sources: owned(sources),
            sinks: owned(sinks),
        }
    }

    /// The plan's sources, and its sinks with a `!` behind those that are required.
    fn names(plan: &Plan) -> (Vec<&str>, Vec<String>) {
        let sources = plan.sources.iter().map(|source| source.spec.name.as_str());
        let sinks = plan.sinks.iter().map(|sink| {
            let mark = if sink.required { "!" } else { "" };
            format!("{}{mark}", sink.spec.name)
        });
        (sources.collect(), sinks.collect())
    }

    #[test]
    fn a_job_is_run_with_what_the_request_adds() {
        let mut wanted = request(Work::Job("nightly".into()));
        wanted.offsite = true;
        let plan = sample().plan_run(wanted).expect("it is fine");
        let (sources, sinks) = names(&plan);
        assert_eq!(sources, ["db", "files"]);
        assert_eq!(sinks, ["local!", "remote"]);
        let borne = |index: usize| {
            let Source { tags, hostname, .. } = &plan.sources[index];
            (tags.join(" "), hostname.as_deref())
        };
        assert_eq!(borne(0), ("db nightly manual".into(), Some("db1")));
        assert_eq!(borne(1), ("nightly manual".into(), Some("files1")));
    }

    #[test]
    fn the_hostname_of_a_request_wins_over_the_source_and_the_source_over_the_job() {
        let mut wanted = request(Work::Job("nightly".into()));
        wanted.hostname = Some("db2".into());
        let plan = sample().plan_run(wanted).expect("it is fine");
        for source in &plan.sources {
            assert_eq!(source.hostname.as_deref(), Some("db2"));
        }
    }

    #[test]
    fn a_sink_that_is_named_and_offsite_is_stored_in_once() {
        let mut wanted = request(named(&["db"], &["remote", "local", "remote"]));
        wanted.offsite = true;
        let plan = sample().plan_run(wanted).expect("it is fine");
        assert_eq!(names(&plan).1, ["remote", "local!"]);
    }

    #[test]
    fn a_run_needs_a_source_and_a_sink() {
        let error = |work| sample().plan_run(request(work)).expect_err("it is not all");
        let no_source = error(named(&[], &["local"]));
        assert_eq!(no_source.message(), "no source is given");
        let help = no_source.next_step().expect("it helps");
        assert!(help.contains("(db, files, postgres)"), "{help}");
        assert_eq!(error(named(&["db"], &[])).message(), "no sink is given");
        let unknown = error(named(&["db"], &["elsewhere"]));
        assert_eq!(unknown.message(), "there is no sink elsewhere");
        let mut only_offsite = request(named(&["db"], &[]));
        only_offsite.offsite = true;
        assert!(sample().plan_run(only_offsite).is_ok());
    }
}
