//! The configuration: turns `tthost.toml` and the environment into plugin specs and plans.
//!
//! | module | holds |
//! |---|---|
//! | the parsed file |
//! | syntax errors |
//! | refuses arrays in place of tables |
//! | `shown` | the configuration without secrets |
//! | decides whether to use a file that nobody named |
//! | alerts |
//! | `retention` | retention policies |
//! | sizes and durations |
//! | the variables that are used |
//! | `dotenv` | files of variables |
//! | what exists without a file |
//! | `offsite` | the sink in S3 that exists without a file |
//! | `directories` | the directories of state and cache |
//! | turns the file into grants and secrets |
//! | turns requests into plans of operations |
//! | adds, updates and removes plugins in the file |
//! | variables without effect |
//! | what the history and the alerts need |
//! | the first configuration |
//! | migrates from a shell script |

mod alert;
mod builtin;
mod directories;
mod dotenv;
mod environment;
mod file;
mod init;
mod lines;
mod lower;
mod offsite;
mod plan;
mod plugin;
mod quantity;
mod retention;
mod script;
mod secret_command;
mod shape;
mod shown;
mod syntax;
#[cfg(test)]
mod tests;
mod trust;
mod unknown;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::grant::Grants;
use crate::operator_file;
use crate::plugin::{Origin, Role, Spec, bundled, hostname};

use builtin::Builtin;
pub use environment::Environment;
pub use file::{File, Job};
pub use init::{InitRequest, place as first_configuration};
use lines::Lines;
pub use lower::parse_pin;
pub use plan::{
    BackupRequest, CheckRequest, CopyRequest, DrillRequest, FilterRequest, ForgetRequest,
    PruneRequest, ReadRequest, ReadSubset, RestoreRequest, RestoreTarget, RunRequest, SinkRequest,
    TimerRequest, Work,
};
pub use plugin::{AddRequest, Given, Grantable, Missing, UpdateRequest};
pub use retention::Retention;
pub use script::{Overrides, Question, Script};

/// The default locations of the configuration.
const PLACES: [&str; 2] = ["tthost.toml", "/etc/tthost/tthost.toml"];

/// The name that this machine has in snapshots, as restic reads it.
const HOST: &str = "RESTIC_HOST";

/// The configuration as it applies.
#[derive(Debug)]
pub struct Config {
    file: File,
    /// The base of relative paths.
    base: PathBuf,
    /// The file that it came from; none without one.
    pub path: Option<PathBuf>,
    environment: Environment,
    builtin: Builtin,
    lines: Lines,
    unknown_variables: Vec<String>,
}

/// A source or sink of the configuration.
#[derive(Debug)]
pub struct Part {
    /// Its name in messages, for example `source postgres`.
    pub subject: String,
    /// The plugin and its grants.
    pub spec: Result<Spec>,
    /// It exists without a configuration file, and not everybody uses it.
    pub is_optional: bool,
}

impl Config {
    /// Reads the named file, else the first that is there of `TTHOST_CONFIG`,
    /// `./tthost.toml` and `/etc/tthost/tthost.toml`, else none.
    pub fn load(named: Option<&Path>, environment: Environment) -> Result<Self> {
        let named = named
            .map(Path::to_owned)
            .or_else(|| environment.get("TTHOST_CONFIG").map(PathBuf::from));
        let path = if let Some(named) = named {
            Some(named)
        } else {
            let found = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
            found.as_deref().map_or(Ok(()), trust::expect_own)?;
            found
        };
        let text = match &path {
            Some(path) => operator_file::read_text(path).map_err(|cause| {
                let text = format!("the configuration {} cannot be read", path.display());
                let error = Error::new(Kind::Config, text);
                let error = match cause.kind() {
                    ErrorKind::NotFound => error.help("`tthost init` writes one"),
                    _ => error,
                };
                error.caused_by(cause)
            })?,
            None => zeroize::Zeroizing::default(),
        };
        Self::parse(&text, path, environment)
    }

    /// Makes sense of the text of a configuration.
    pub fn parse(text: &str, path: Option<PathBuf>, mut environment: Environment) -> Result<Self> {
        let shown = path.as_deref().unwrap_or(Path::new("tthost.toml"));
        let mut file: File =
            toml::from_str(text).map_err(|cause| syntax::explain(shown, text, &cause))?;
        shape::check(shown, text)?;
        let base = path
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
            .to_owned();
        if let Some(variables) = &file.env_file
            && environment.file().is_none()
        {
            environment.add_file(&base.join(variables))?;
        }
        for source in file.jobs.values_mut().flat_map(|job| &mut job.sources) {
            *source = builtin::canonical(source);
        }
        file.retention.apply(&environment)?;
        let builtin = builtin::add(&mut file, &environment);
        let unknown_variables = unknown::unknown(&environment, text);
        let config = Self {
            file,
            base,
            path,
            environment,
            builtin,
            lines: Lines::of(text),
            unknown_variables,
        };
        config.check_references()?;
        Ok(config)
    }

    /// The file with what exists without one, for `config show`.
    pub fn effective(&self) -> &File {
        &self.file
    }

    /// The variables that are looked at.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Variables that are set, look as if they were for this program or for restic, and have no effect.
    pub fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }

    /// Where this user's state is kept.
    pub fn state_directory(&self) -> Result<PathBuf> {
        directories::state(&self.environment)
    }

    /// Where compiled plugins are kept.
    pub fn cache_directory(&self) -> Result<PathBuf> {
        directories::cache(&self.environment)
    }

    /// The name that the environment gives this machine in snapshots.
    fn named_host(&self) -> Option<String> {
        self.environment.get(HOST).map(str::to_owned)
    }

    /// The name that this machine has in snapshots where no source and no job says another.
    fn hostname(&self) -> String {
        self.named_host().unwrap_or_else(hostname)
    }

    /// The names of all sources or sinks.
    pub fn names(&self, role: Role) -> Vec<&str> {
        let names = self.file.names(role).into_iter().map(String::as_str);
        let unusable = self.builtin.offsite.as_ref();
        let unusable = unusable
            .filter(|_| role == Role::Sink)
            .map(|_| offsite::SINK);
        names.chain(unusable).collect()
    }

    /// All sources and sinks with their secrets, and the short names among the sources of jobs.
    pub fn parts(&self) -> Vec<Part> {
        let jobs = self.file.jobs.values();
        let of_jobs = jobs.flat_map(|job| job.sources.iter().chain(&job.sinks));
        let of_jobs: BTreeSet<_> = of_jobs.map(String::as_str).collect();
        let mut parts = Vec::new();
        for role in [Role::Source, Role::Sink] {
            let mut names = self.names(role);
            if role == Role::Source {
                let short = of_jobs
                    .iter()
                    .filter(|name| builtin::source(name).is_some());
                names.extend(short);
            }
            for name in names {
                let spec = self.spec(role, name);
                let is_builtin = self.is_builtin(role, name) && !of_jobs.contains(name);
                parts.push(Part {
                    subject: role.subject(name),
                    is_optional: is_builtin && (role == Role::Source || spec.is_err()),
                    spec,
                });
            }
        }
        parts
    }

    fn is_builtin(&self, role: Role, name: &str) -> bool {
        let is_it = |(of, added): &(Role, String)| *of == role && added == name;
        self.builtin.added.iter().any(is_it) || self.unusable(role, name).is_some()
    }

    /// Why a sink cannot be used that the environment names.
    fn unusable(&self, role: Role, name: &str) -> Option<&Error> {
        let offsite = self.builtin.offsite.as_ref();
        offsite.filter(|_| role == Role::Sink && name == offsite::SINK)
    }

    /// The plugin that a name means, and what it is granted: that of a source or a sink, a bundled
    /// one, or a file.
    pub fn find_plugin(&self, name: &str, role: Option<Role>) -> Result<(Origin, Grants)> {
        if let Some(role) = role {
            let spec = self.spec(role, name)?;
            return Ok((spec.origin, spec.grants));
        }
        for role in Role::ALL {
            if self.names(role).contains(&name) {
                let spec = self.spec(role, name)?;
                return Ok((spec.origin, spec.grants));
            }
        }
        if bundled().iter().any(|plugin| plugin.name == name) {
            return Ok((Origin::Bundled(name.into()), Grants::default()));
        }
        if Path::new(name).exists() {
            let file = Origin::File {
                path: name.into(),
                sha256: None,
            };
            return Ok((file, Grants::default()));
        }
        Err(Error::new(
            Kind::NotFound,
            format!("{name} is not a source, a sink, a bundled plugin or a file"),
        )
        .help("`tthost plugin list` lists all plugins"))
    }

    /// Whether a run without a snapshot in this sink has failed.
    fn is_required(&self, sink: &str) -> bool {
        let sinks = &self.file.sinks;
        let otherwise = self.unusable(Role::Sink, sink).is_none();
        sinks.get(sink).map_or(otherwise, |sink| sink.required)
    }

    /// The tags that the snapshots of a source bear, and by which they are found again.
    fn tags(&self, source: &str) -> Vec<String> {
        let named = self.file.sources.get(source).map(|source| &source.tags);
        match named {
            Some(tags) if !tags.is_empty() => tags.clone(),
            _ => vec![source.to_owned()],
        }
    }

    /// The job of this name.
    fn job(&self, name: &str) -> Result<&Job> {
        self.file.jobs.get(name).ok_or_else(|| {
            let names: Vec<_> = self.file.jobs.keys().map(String::as_str).collect();
            unknown("job", name, &names)
        })
    }

    /// Resolves the source or sink of this name, with its grants and secrets.
    pub fn spec(&self, role: Role, name: &str) -> Result<Spec> {
        let short = || match role {
            Role::Source => builtin::source(name),
            Role::Sink | Role::Store => None,
        };
        if let Some(error) = self.unusable(role, name) {
            return Err(error.clone());
        }
        let found = match self.file.find(role, name) {
            Some(found) => found,
            None => short()
                .ok_or_else(|| unknown(role.word(), name, &self.names(role)))
                .flatten()?,
        };
        let lowered = lower::spec(role, name, &found, &self.base, &self.environment)
            .map_err(|error| self.placed(&role.section(name), error));
        let mut spec = lowered.map_err(|error| error.of(role.subject(name)))?;
        if role == Role::Sink && self.file.find(Role::Store, name).is_some() {
            let store = self.spec(Role::Store, name)?;
            spec.grants.store = true;
            spec.store = Some(Box::new(store));
        }
        Ok(spec)
    }

    /// The error with its line in the file, where it is about something that stands there.
    pub fn placed(&self, section: &[&str], error: Error) -> Error {
        match &self.path {
            Some(path) => self.lines.place(path, section, error),
            None => error,
        }
    }

    fn check_references(&self) -> Result<()> {
        expect_host(self.named_host().as_deref()).map_err(|error| error.of(HOST))?;
        for (name, source) in &self.file.sources {
            let of_source = |error: Error| {
                let placed = self.placed(&Role::Source.section(name), error);
                placed.of(format!("source {name}"))
            };
            expect_source_name(name).map_err(of_source)?;
            expect_names("tags", &source.tags).map_err(of_source)?;
            expect_host(source.host.as_deref()).map_err(of_source)?;
        }
        for (name, job) in &self.file.jobs {
            let of_job = |error: Error| {
                self.placed(&["jobs", name], error)
                    .of(format!("job {name}"))
            };
            for (role, names) in [(Role::Source, &job.sources), (Role::Sink, &job.sinks)] {
                if names.is_empty() {
                    let empty = Error::new(Kind::Config, format!("it has no {}s", role.word()));
                    return Err(of_job(empty.help(format!(
                        "add {}s = [\"NAME\"] to [jobs.{name}]",
                        role.word()
                    ))));
                }
                let known = self.names(role);
                let is_known = |name: &String| {
                    known.contains(&name.as_str())
                        || (role == Role::Source && builtin::source(name).is_some())
                };
                if let Some(missing) = names.iter().find(|name| !is_known(name)) {
                    return Err(of_job(unknown(role.word(), missing, &known)));
                }
            }
            job.expect_effect().map_err(of_job)?;
            self.expect_host_of_job(job).map_err(of_job)?;
            job.timing().map_err(of_job)?;
            watch::stale_after(job).map_err(of_job)?;
            plan::drill_every(job).map_err(of_job)?;
        }
        for (name, alert) in &self.file.alerts {
            let of_alert = |error: Error| {
                let placed = self.placed(&["alerts", name], error);
                placed.of(format!("alert {name}"))
            };
            alert.check(&self.file.jobs).map_err(of_alert)?;
        }
        Ok(())
    }
}

impl Config {
    /// Refuses the host of a job in which it stands in no snapshot.
    fn expect_host_of_job(&self, job: &Job) -> Result<()> {
        let has_own = |name: &String| {
            let source = self.file.sources.get(name);
            source.is_some_and(|source| source.host.is_some())
        };
        if job.host.is_some() && job.sources.iter().all(has_own) {
            let text = "host has no effect, because each source of the job has one of its own";
            return Err(Error::new(Kind::Config, text).help("remove it here or there"));
        }
        Ok(())
    }
}

impl Job {
    /// Refuses keys that cannot have an effect.
    fn expect_effect(&self) -> Result<()> {
        expect_names("tags", &self.tags)?;
        expect_names("sources", &self.sources)?;
        expect_names("sinks", &self.sinks)?;
        expect_host(self.host.as_deref())?;
        let timely = [
            ("jitter", self.jitter.is_some()),
            ("time-zone", self.time_zone.is_some()),
        ];
        match timely.iter().find(|(_, given)| *given) {
            Some((key, _)) if self.schedule.is_none() => {
                let text = format!("{key} has no effect without schedule");
                Err(Error::new(Kind::Config, text).help(format!("add a schedule, or remove {key}")))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses names that nothing has, and such as stand there twice.
fn expect_names(key: &str, names: &[String]) -> Result<()> {
    let wrong = |why: String| Err(Error::new(Kind::Config, format!("{key}: {why}")));
    for (place, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return wrong("a name is empty".into());
        }
        if key == "tags" && name.contains(',') {
            return wrong(format!(
                "\"{name}\" has a comma, and would be found by no --tag: write two tags"
            ));
        }
        if names[..place].contains(name) {
            return wrong(format!("{name} stands there twice"));
        }
    }
    Ok(())
}

/// Refuses the name of a source that could not be told from other words. It is also a tag of its snapshots.
fn expect_source_name(name: &str) -> Result<()> {
    let why = if name.contains(',') {
        "the name has a comma, and no --tag would find its snapshots"
    } else if builtin::source(name).is_some() {
        "the name means a source that needs no configuration"
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Config, why).help("give it another name"))
}

fn expect_host(host: Option<&str>) -> Result<()> {
    match host {
        Some(host) if host.trim().is_empty() => {
            let text = "host is empty, and no --host would find its snapshots";
            Err(Error::new(Kind::Config, text)
                .help("remove it; this machine's name is the default"))
        }
        _ => Ok(()),
    }
}

fn unknown(what: &str, name: &str, names: &[&str]) -> Error {
    let help = if names.is_empty() {
        format!("the configuration has none; add [{what}s.{name}]")
    } else {
        format!("there are: {}", names.join(", "))
    };
    Error::new(Kind::Config, format!("there is no {what} {name}")).help(help)
}

/// Sorted by name.
type Named<T> = BTreeMap<String, T>;
