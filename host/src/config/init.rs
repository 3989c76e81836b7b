//! A first configuration: what `init` writes, and the plan of creating what it names.

use std::path::{Path, PathBuf};

use super::{Config, Environment, builtin, offsite};
use crate::error::{Error, Kind, Result};
use crate::operation::init::{NewFile, Password, Plan};
use crate::plugin::Role;

/// The configuration that is written when nobody names another place.
const DEFAULT: &str = "tthost.toml";

/// The sink that is made.
const SINK: &str = builtin::SINK;

/// The variable that a password may be in.
const PASSWORD: &str = "RESTIC_PASSWORD";

/// Random bytes of a new password; written in hexadecimal.
const PASSWORD_BYTES: usize = 24;

/// What is asked of a first set-up. What is left open comes from the environment.
#[derive(Clone, Debug, Default)]
pub struct InitRequest {
    /// Where the configuration is written; `tthost.toml` when none.
    pub config: Option<PathBuf>,
    /// The directory of the repository.
    pub repository: Option<PathBuf>,
    /// The file with its password, which is made when it is missing.
    pub password_file: Option<PathBuf>,
    /// A repository in S3 besides.
    pub offsite: Option<String>,
}

impl InitRequest {
    /// Plans the set-up, with the configuration that it comes to. A password that is missing is
    /// made already, and goes away again with the plan unless that is carried out.
    pub fn plan(self, environment: &Environment) -> Result<(Config, Plan)> {
        let path = self.config.unwrap_or_else(|| DEFAULT.into());
        if path.exists() {
            let text = format!("the configuration exists already: {}", path.display());
            return Err(Error::new(Kind::Config, text)
                .help("name another file with --config, or remove this one"));
        }
        let repository = repository(self.repository, environment)?;
        let password = PasswordSource::choose(self.password_file, &path, environment)?;
        let offsite = self
            .offsite
            .as_deref()
            .or_else(|| environment.get("RESTIC_OFFSITE_REPOSITORY"));
        let mut text = configuration(&repository, &password.value());
        if let Some(offsite) = offsite {
            text += &offsite::section(offsite, &password.value(), environment)?;
        }
        let has_offsite = offsite.is_some();
        let config = Config::parse(&text, Some(path.clone()), environment.clone())?;
        // From here on the sinks can be built, which read it.
        let password = password.make()?;
        let plan = Plan {
            repository,
            password,
            sink: config.spec(Role::Sink, SINK)?,
            offsite: has_offsite
                .then(|| config.spec(Role::Sink, offsite::SINK))
                .transpose()?,
            config: path,
            text,
        };
        Ok((config, plan))
    }
}

fn repository(named: Option<PathBuf>, environment: &Environment) -> Result<PathBuf> {
    let named = match (named, environment.get("RESTIC_REPOSITORY")) {
        (Some(named), _) => named,
        (None, Some(named)) => builtin::directory(named)?,
        (None, None) => {
            return Err(Error::new(Kind::Config, "no repository is given")
                .help("give --repository DIR, or set RESTIC_REPOSITORY"));
        }
    };
    absolute(&named)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| {
        Error::new(Kind::Config, format!("{} is not a path", path.display())).caused_by(cause)
    })
}

/// Where the password comes from.
enum PasswordSource {
    /// A file that is to be made.
    New(PathBuf),
    /// A file that is there.
    File(PathBuf),
    /// The environment.
    Environment,
}

impl PasswordSource {
    fn choose(named: Option<PathBuf>, config: &Path, environment: &Environment) -> Result<Self> {
        let named = named.or_else(|| environment.get("RESTIC_PASSWORD_FILE").map(PathBuf::from));
        if named.is_none() && environment.get(PASSWORD).is_some() {
            return Ok(Self::Environment);
        }
        let file = named.unwrap_or_else(|| config.with_file_name("tthost.password"));
        let file = absolute(&file)?;
        Ok(if file.exists() {
            Self::File(file)
        } else {
            Self::New(file)
        })
    }

    /// Where it is, as a configuration has it.
    fn value(&self) -> String {
        match self {
            Self::New(file) | Self::File(file) => format!("{{ file = {} }}", quote(file)),
            Self::Environment => format!("{{ env = \"{PASSWORD}\" }}"),
        }
    }

    fn make(self) -> Result<Password> {
        let path = match self {
            Self::New(path) => path,
            Self::File(path) => return Ok(Password::Given(path)),
            Self::Environment => return Ok(Password::Environment(PASSWORD)),
        };
        let mut random = zeroize::Zeroizing::new([0; PASSWORD_BYTES]);
        getrandom::fill(random.as_mut_slice()).map_err(|cause| {
            Error::new(Kind::Other, "cannot get random numbers from the system").caused_by(cause)
        })?;
        let text = zeroize::Zeroizing::new(hex::encode(*random) + "\n");
        NewFile::write(path, text.as_bytes(), 0o600).map(Password::Made)
    }
}

fn configuration(repository: &Path, password: &str) -> String {
    format!(
        r#"# The configuration of tthost.
#   tthost config schema   prints every key
#   tthost config check    checks this file and loads the plugins
#   tthost config show     prints it with all defaults

# A source: something to back up. Its plugin can use only what is granted here.
[sources.postgres]
plugin = "postgres-source"
# Without settings, the plugin dumps the database in PGDATABASE. Others:
#   databases = ["shop", "blog"], or databases = "all"
#   globals = true             also dumps roles and tablespaces
config = {{}}

# The programs that the plugin may run. "inherit" passes environment variables on.
# For a database in a container:
#   argv = ["docker", "compose", "exec", "-T", "postgres", "pg_dump"]
[sources.postgres.grants.commands]
pg_dump = {{ argv = ["pg_dump"], inherit = ["PG*", "HOME"] }}
pg_dumpall = {{ argv = ["pg_dumpall"], inherit = ["PG*", "HOME"] }}
psql = {{ argv = ["psql"], inherit = ["PG*", "HOME"] }}
pg_restore = {{ argv = ["pg_restore"], inherit = ["PG*", "HOME"] }}

# A sink: a place that stores snapshots. This one is a restic repository in a directory.
[sinks.{SINK}]
plugin = "restic-sink"

[sinks.{SINK}.grants]
directories.repository = {{ path = {}, access = "read-write" }}
secrets.password = {password}

# A job: sources and sinks that run together with `tthost run --job nightly`.
[jobs.nightly]
sources = ["postgres"]
sinks = ["{SINK}"]

# `tthost prune` keeps the last snapshot of each of so many days, weeks and months. It removes
# all others.
[retention]
keep-daily = 7
keep-weekly = 4
keep-monthly = 12
"#,
        quote(repository)
    )
}

fn quote(path: &Path) -> String {
    toml::Value::from(path.to_string_lossy().into_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    fn request(directory: &Path) -> InitRequest {
        InitRequest {
            config: Some(directory.join("tthost.toml")),
            repository: Some(directory.join("repository")),
            ..InitRequest::default()
        }
    }

    #[test]
    fn a_password_that_is_missing_is_made_and_goes_with_a_plan_that_is_given_up() {
        let directory = tempfile::tempdir().expect("there is room");
        let plan = request(directory.path()).plan(&environment(&[]));
        let (_, plan) = plan.expect("it is fine");
        let file = directory.path().join("tthost.password");
        assert_eq!(plan.password.file(), Some(file.as_path()));
        let text = std::fs::read_to_string(&file).expect("it is made");
        assert_eq!(text.trim().len(), 2 * PASSWORD_BYTES);
        let secret = plan.sink.grants.secrets["password"].expose();
        assert_eq!(secret, text.trim().as_bytes());
        drop(plan);
        assert!(!file.exists());
    }

    #[test]
    fn a_password_that_there_is_is_used() {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("password");
        std::fs::write(&file, "mine").expect("there is room");
        let mut named = request(directory.path());
        named.password_file = Some(file.clone());
        let variables = environment(&[(PASSWORD, "other")]);
        drop(named.plan(&variables).expect("it is fine"));
        assert_eq!(std::fs::read(&file).expect("it stays"), b"mine");
        let plan = request(directory.path()).plan(&variables);
        let (_, plan) = plan.expect("it is fine");
        assert_eq!(plan.password.file(), None);
        assert_eq!(plan.sink.grants.secrets["password"].expose(), b"other");
    }

    #[test]
    fn a_configuration_that_there_is_stays() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("tthost.toml");
        std::fs::write(&path, "").expect("there is room");
        let error = request(directory.path())
            .plan(&environment(&[]))
            .err()
            .expect("there is one");
        assert!(error.message().contains("already"), "{error}");
    }
}
