//! Turns requests, which name parts of the configuration, into plans that operations carry out. All errors in a
//! request and in the parts of the configuration that it names are found here, before anything is done.
//!
//! Whatever is wrong with a request or with the parts of the configuration that it names is found
//! here, before anything is done.

mod backup;
mod check;
mod copy;
mod drill;
mod prune;
mod restore;
mod run;
mod schedule;
mod source;

use jiff::Zoned;
use tracing::warn;
use vec1::Vec1;

use super::{Config, builtin, offsite};
use crate::error::{Error, Kind, Result};
use crate::operation::{Filter, Sink, Unusable};
use crate::plugin::{Role, Spec};
use crate::snapshot::TagSet;

pub use backup::BackupRequest;
pub use check::{CheckRequest, ReadRequest, ReadSubset};
pub use copy::CopyRequest;
pub use drill::DrillRequest;
pub(super) use drill::drill_every;
pub use prune::{ForgetRequest, PruneRequest};
pub use restore::{RestoreRequest, RestoreTarget};
pub use run::{RunRequest, Work};
pub use schedule::TimerRequest;

/// Words that say which snapshots are meant. Of each kind that has any, a snapshot has to match:
/// one of the hosts, all of the tags, all of the paths.
#[derive(Clone, Debug, Default)]
pub struct FilterRequest {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Sets of tags, of which one is enough.
    pub tags: Vec<TagSet>,
    /// Paths.
    pub paths: Vec<String>,
}

impl FilterRequest {
    /// Whether it lets everything pass.
    fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.tags.is_empty() && self.paths.is_empty()
    }
}

impl From<FilterRequest> for Filter {
    fn from(request: FilterRequest) -> Self {
        Self {
            hosts: Vec1::try_from_vec(request.hosts).ok(),
            tags: request.tags,
            paths: request.paths,
            source: None,
        }
    }
}

/// The sink that a command on one sink works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkRequest {
    /// The one of this name.
    Named(String),
    /// The one that is marked as offsite.
    Offsite,
}

/// The present time, as it stands in names that sources make for a restoration.
fn label() -> String {
    Zoned::now().strftime("%Y%m%d_%H%M%S").to_string()
}

impl Default for SinkRequest {
    fn default() -> Self {
        Self::Named(builtin::SINK.into())
    }
}

impl Config {
    /// The sink that is meant.
    pub fn sink(&self, request: &SinkRequest) -> Result<Spec> {
        let name = match request {
            SinkRequest::Named(name) => name,
            SinkRequest::Offsite => match self.offsite()?[..] {
                [name] => name,
                ref names => {
                    let text = format!("{} sinks are marked as offsite", names.len());
                    let help = format!("name one of them with --sink: {}", names.join(", "));
                    return Err(Error::new(Kind::Config, text).help(help));
                }
            },
        };
        self.spec(Role::Sink, name)
    }

    /// The sinks of these names, each once, and those that are marked as offsite where they are
    /// asked for too. That there is none of those is no reason to do without the others. A sink that is not
    /// required and whose configuration is wrong is among the unusable ones, if there are others.
    fn sinks(&self, names: &[String], offsite: bool) -> Result<(Vec<Sink>, Vec<Unusable>)> {
        let marked = match self.offsite() {
            _ if !offsite => Vec::new(),
            Ok(marked) => marked,
            Err(error) if names.is_empty() => return Err(error),
            Err(error) => {
                warn!(help = error.next_step(), "{}", error.message());
                Vec::new()
            }
        };
        let mut wanted: Vec<&str> = Vec::new();
        for name in names.iter().map(String::as_str).chain(marked) {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        let mut sinks = Vec::new();
        let mut unusable = Vec::new();
        for name in wanted {
            let required = self.is_required(name);
            match self.spec(Role::Sink, name) {
                Ok(spec) => sinks.push(Sink { spec, required }),
                Err(error) if required || !self.names(Role::Sink).contains(&name) => {
                    return Err(error);
                }
                Err(error) => unusable.push(Unusable {
                    sink: name.to_owned(),
                    error,
                }),
            }
        }
        match unusable.first() {
            Some(first) if sinks.is_empty() => Err(first.error.clone()),
            _ => Ok((sinks, unusable)),
        }
    }

    /// The sinks that are marked as offsite.
    pub(super) fn offsite(&self) -> Result<Vec<&str>> {
        let sinks = self.file.sinks.iter().filter(|(_, sink)| sink.offsite);
        let names = sinks.map(|(name, _)| name.as_str());
        let unusable = self.builtin.offsite.as_ref().map(|_| offsite::SINK);
        let names: Vec<_> = names.chain(unusable).collect();
        if names.is_empty() {
            let error = Error::new(Kind::Config, "no sink is marked as offsite");
            return Err(error.help(
                "add `offsite = true` to a sink of the configuration, or set RESTIC_OFFSITE_REPOSITORY to s3:HOST/BUCKET or a directory",
            ));
        }
        Ok(names)
    }

    fn unnamed(&self, role: Role, otherwise: &str) -> Error {
        let word = role.word();
        let names = self.names(role).join(", ");
        Error::new(Kind::Config, format!("no {word} is given"))
            .help(format!("give one with --{word} ({names}){otherwise}"))
    }
}

/// The fixture for tests of plans.
#[cfg(test)]
fn sample() -> Config {
    let text = r#"
        [sources.db]
        plugin = "postgres-source"
        [sources.files]
        plugin = "volume-source"
        tags = ["nightly"]
        host = "files1"
        grants.trees.files = { path = "/srv/files" }
        [sinks.local]
        plugin = "restic-sink"
        [sinks.remote]
        plugin = "s3-sink"
        offsite = true
        required = false
        [jobs.nightly]
        sources = ["db", "files"]
        sinks = ["local"]
        tags = ["nightly"]
        host = "db1"
    "#;
    let environment = super::Environment::default();
    Config::parse(text, None, environment).expect("it is fine")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_offsite(names: &[&str]) -> Config {
        let sink =
            |name: &&str| format!("sinks.{name} = {{ plugin = 'restic-sink', offsite = true }}\n");
        let text: String = names.iter().map(sink).collect();
        Config::parse(&text, None, super::super::Environment::default()).expect("it is fine")
    }

    #[test]
    fn offsite_means_the_one_sink_that_is_marked() {
        let sink = |names: &[&str]| with_offsite(names).sink(&SinkRequest::Offsite);
        assert_eq!(sink(&["away"]).expect("it is the only one").name, "away");
        let error = sink(&["away", "cloud"]).expect_err("nobody knows which");
        assert_eq!(error.message(), "2 sinks are marked as offsite");
        let help = error.next_step().expect("it helps");
        assert_eq!(help, "name one of them with --sink: away, cloud");
        let error = sink(&[]).expect_err("there is none");
        assert_eq!(error.message(), "no sink is marked as offsite");
    }

    #[test]
    fn without_an_offsite_sink_the_others_go_on() {
        let config = with_offsite(&["away"]);
        let names = |config: &Config, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let (sinks, _) = config.sinks(&names, true)?;
            Ok::<_, Error>(
                sinks
                    .into_iter()
                    .map(|sink| sink.spec.name)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(&config, &[]).expect("there is one"), ["away"]);
        let config = Config::parse(
            "sinks.here.plugin = 'restic-sink'",
            None,
            super::super::Environment::default(),
        );
        let config = config.expect("it is fine");
        assert_eq!(names(&config, &["here"]).expect("it goes on"), ["here"]);
        names(&config, &[]).expect_err("there is nowhere to store");
    }
}
