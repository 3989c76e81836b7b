//! The first configuration: the file that `init` writes, and the plan of what it creates.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::Retention;
use super::script::Script;
use super::{Config, Environment, builtin, offsite};
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;
use crate::operation::init::{NewFile, Password, Plan};
use crate::plugin::Role;
use crate::retention::Count;

/// The default location of a new configuration.
const DEFAULT: &str = "tthost.toml";

/// The sink that is made.
const SINK: &str = builtin::SINK;

/// The variable that a password may be in.
const PASSWORD: &str = "RESTIC_PASSWORD";

/// What the variables begin with that a first configuration is made of. One that cannot be read is no reason to take what
/// it has by default.
const NEEDED: [&str; 4] = ["RESTIC_", "BACKUP_KEEP_", "POSTGRES_", "DATABASE_URL"];

/// Random bytes of a new password; written in hexadecimal.
const PASSWORD_BYTES: usize = 24;

/// A request for a first configuration. The environment supplies the omitted values.
#[derive(Debug, Default)]
pub struct InitRequest {
    /// Where the configuration is written; `tthost.toml` when none.
    pub config: Option<PathBuf>,
    /// The directory of the repository.
    pub repository: Option<PathBuf>,
    /// The file with its password, which is made when it is missing.
    pub password_file: Option<PathBuf>,
    /// A repository in another place besides.
    pub offsite: Option<String>,
    /// The data that a script has backed up. It replaces the database of libpq's variables.
    pub script: Option<Script>,
}

/// When a first job starts.
pub(super) const SCHEDULE: &str =
    "# It starts on its own after `tthost schedule install`, or under `tthost daemon`.
schedule = \"daily 02:00\"
# Now and then it can also restore the newest snapshots for trial, which proves that they can be restored.
# drill = \"30d\"
";

/// Where a first configuration is written. Refuses what would get lost by that, or be left out of it.
pub fn place(named: Option<&Path>, environment: &Environment) -> Result<PathBuf> {
    environment.expect_readable(&NEEDED)?;
    let path = named.unwrap_or(Path::new(DEFAULT));
    if path.exists() {
        let text = format!("the configuration exists already: {}", path.display());
        return Err(Error::new(Kind::Config, text)
            .help("name another file with --config, or remove this one"));
    }
    Ok(path.to_owned())
}

impl InitRequest {
    /// Plans the set-up, with the configuration that it comes to. A password that is missing is
    /// made already, and goes away again with the plan unless that is carried out.
    pub fn plan(self, environment: &Environment) -> Result<(Config, Plan)> {
        let path = place(self.config.as_deref(), environment)?;
        let repository = repository(self.repository, self.script.is_some(), environment)?;
        let password = PasswordSource::choose(self.password_file, &path, environment)?;
        let offsite = self
            .offsite
            .as_deref()
            .or_else(|| environment.get("RESTIC_OFFSITE_REPOSITORY"));
        let section = match offsite {
            Some(offsite) => offsite_section(offsite, &password.value(), environment)?,
            None => None,
        };
        let text = Text {
            environment,
            repository: &repository,
            password: &password.value(),
            offsite: section.as_deref(),
        };
        let database_password = absolute(&path.with_file_name("tthost.database-password"))?;
        let text = match &self.script {
            Some(script) => text.of_script(script, &database_password)?,
            None => text.of_postgres()?,
        };
        let config = Config::parse(&text, Some(path.clone()), environment.clone())?;
        // From here on the sinks can be built, which read it.
        let password = password.make()?;
        let secret = self.script.as_ref().and_then(Script::database_password);
        let database_password = secret
            .map(|secret| NewFile::write(database_password, secret.expose(), 0o600))
            .transpose()?;
        let plan = Plan {
            repository,
            password,
            database_password,
            sink: config.spec(Role::Sink, SINK)?,
            offsite: section.map(|_| {
                let spec = config.spec(Role::Sink, offsite::SINK);
                (offsite::SINK.to_owned(), spec)
            }),
            config: path,
            text,
            found: self.script.as_ref().map(Script::found),
        };
        Ok((config, plan))
    }
}

/// The section for the repository in another place. Where a variable names one that no sink can use, there is none: that is no
/// reason to go without the rest.
fn offsite_section(
    repository: &str,
    password: &str,
    environment: &Environment,
) -> Result<Option<String>> {
    let is_of_variable = environment.get("RESTIC_OFFSITE_REPOSITORY") == Some(repository);
    match offsite::section(repository, password, environment) {
        Err(error) if is_of_variable => {
            warn!(
                help = error.next_step(),
                "RESTIC_OFFSITE_REPOSITORY: {}; the configuration has no sink for it",
                error.message()
            );
            Ok(None)
        }
        section => section.map(Some),
    }
}

fn repository(
    named: Option<PathBuf>,
    of_script: bool,
    environment: &Environment,
) -> Result<PathBuf> {
    let beside = environment.file().filter(|_| of_script);
    let named = match (named, environment.get("RESTIC_REPOSITORY"), beside) {
        (Some(named), _, _) => named,
        (None, Some(named), _) => builtin::directory(named)?,
        // Where the script has it by default.
        (None, None, Some(file)) => file.with_file_name("backups").join("restic-repo"),
        (None, None, None) => {
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
        let secret = Secret::from(hex::encode(*random));
        let line = zeroize::Zeroizing::new([secret.expose(), b"\n"].concat());
        NewFile::write(path, &line, 0o600).map(|file| Password::Made(file, secret))
    }
}

/// The parts of the new configuration.
struct Text<'a> {
    environment: &'a Environment,
    repository: &'a Path,
    /// Where its password is.
    password: &'a str,
    /// The section of the sink in another place.
    offsite: Option<&'a str>,
}

impl Text<'_> {
    /// For the database of libpq's variables.
    fn of_postgres(&self) -> Result<String> {
        let sinks = match self.offsite {
            Some(_) => format!("[\"{SINK}\", \"{}\"]", offsite::SINK),
            None => format!("[\"{SINK}\"]"),
        };
        let jobs = format!(
            r#"
# A job: sources and sinks that run together with `tthost run --job nightly`.
[jobs.nightly]
sources = ["postgres"]
sinks = {sinks}
{SCHEDULE}"#
        );
        self.all(POSTGRES, &jobs)
    }

    /// For what a script has backed up.
    fn of_script(&self, script: &Script, database_password: &Path) -> Result<String> {
        let sources = script.sources(database_password);
        let jobs = script.jobs(SINK, self.offsite.map(|_| offsite::SINK));
        self.all(&sources, &jobs)
    }

    fn all(&self, sources: &str, jobs: &str) -> Result<String> {
        let variables = self.environment.file().map(|file| {
            let text = "\n# The file with the variables that are named below. Those that are set already win.\nenv-file = ";
            format!("{text}{}\n", quote(file))
        });
        let mut retention = Retention::default();
        retention.apply(self.environment)?;
        let keep = |count: Option<Count>| {
            toml::Value::try_from(count.unwrap_or_default()).expect("a count is a value")
        };
        Ok(format!(
            r#"# The configuration of tthost.
#   tthost config schema   prints every key
#   tthost config check    checks this file and loads the plugins
#   tthost config show     prints it with all defaults
{}{sources}
# A sink: a place that stores snapshots. This one is a restic repository in a directory.
[sinks.{SINK}]
plugin = "restic-sink"

[sinks.{SINK}.grants]
directories.repository = {{ path = {}, access = "read-write" }}
secrets.password = {}
{}{jobs}
# `tthost prune` keeps the last snapshot of each of so many days, weeks and months. It removes
# all others.
[retention]
keep-daily = {}
keep-weekly = {}
keep-monthly = {}
"#,
            variables.unwrap_or_default(),
            quote(self.repository),
            self.password,
            self.offsite.unwrap_or_default(),
            keep(retention.keep_daily),
            keep(retention.keep_weekly),
            keep(retention.keep_monthly),
        ))
    }
}

/// The source for a database of libpq's variables.
const POSTGRES: &str = r#"
# A source: something to back up. Its plugin can use only what is granted here.
[sources.postgres]
plugin = "postgres-source"
# Without settings, the plugin dumps the database in PGDATABASE. Others:
#   databases = ["shop", "blog"], or databases = "all"
#   globals = true             also dumps roles and tablespaces
config = {}

# The programs that the plugin may run. "inherit" passes environment variables on.
# For a database in a container:
#   argv = ["docker", "compose", "exec", "-T", "-e", "PGUSER=postgres", "postgres", "pg_dump"]
[sources.postgres.grants.commands]
pg_dump = { argv = ["pg_dump"], inherit = ["PG*", "HOME"] }
pg_dumpall = { argv = ["pg_dumpall"], inherit = ["PG*", "HOME"] }
psql = { argv = ["psql"], inherit = ["PG*", "HOME"] }
pg_restore = { argv = ["pg_restore"], inherit = ["PG*", "HOME"] }
"#;

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
    fn retention_and_offsite_are_those_of_the_variables() {
        let directory = tempfile::tempdir().expect("there is room");
        let text = |offsite: &str| {
            let variables = [
                (PASSWORD, "x"),
                ("BACKUP_KEEP_DAILY", "3"),
                ("RESTIC_OFFSITE_REPOSITORY", offsite),
            ];
            let plan = request(directory.path()).plan(&environment(&variables));
            let (_, plan) = plan.expect("it is fine");
            assert_eq!(plan.offsite.is_some(), offsite.starts_with('/'));
            plan.text
        };
        let both = text("/mnt/other");
        assert!(both.contains("keep-daily = 3\nkeep-weekly = 4\n"), "{both}");
        assert!(
            both.contains("sinks = [\"restic-local\", \"offsite\"]\n"),
            "{both}"
        );
        let local = text("rest:https://me:hunter2@host/");
        assert!(local.contains("sinks = [\"restic-local\"]\n"), "{local}");
        assert!(!local.contains("hunter2"), "{local}");
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
