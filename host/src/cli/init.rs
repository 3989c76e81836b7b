//! `tthost init`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::args::{Global, Init};
use super::format::short;
use super::output::Output;
use super::{Session, load_config};
use crate::config::{Config, Environment, offsite_section, repository_directory};
use crate::error::{Error, Kind, Result};
use crate::operation::{Identity, create};
use crate::plugin::Role;

/// The configuration that is written when nobody names another place.
const DEFAULT: &str = "tthost.toml";

/// The sink that is made.
const SINK: &str = "restic-local";

/// The sink in S3.
const OFFSITE: &str = "offsite";

/// Random bytes of a new password; written in hexadecimal.
const PASSWORD_BYTES: usize = 24;

/// Writes a configuration, makes a password where none is given, creates the repository.
pub(super) fn init(mut global: Global, arguments: &Init, output: &Output) -> Result<u8> {
    if let Some(sink) = &arguments.sink {
        return Session::start(global, output)?.run(async |session| init_sink(session, sink).await);
    }
    let path = global.config.take().unwrap_or_else(|| DEFAULT.into());
    if path.exists() {
        return Err(Error::new(
            Kind::Config,
            format!("the configuration exists already: {}", path.display()),
        )
        .help("name another file with --config, or remove this one"));
    }
    let without_file = load_config(&global)?;
    let environment = without_file.environment().clone();
    let repository = repository(arguments, &environment)?;
    let password = Password::choose(arguments, &path, &environment)?;

    let offsite = arguments
        .offsite
        .as_deref()
        .or_else(|| environment.get("RESTIC_OFFSITE_REPOSITORY"));
    let mut text = configuration(&repository, &password);
    if let Some(offsite) = offsite {
        text += &offsite_section(offsite, &password.value(), &environment)?;
    }
    let has_offsite = offsite.is_some();
    let config = Config::parse(&text, Some(path.clone()), environment)?;
    password.make()?;
    // From here on the sink can be built.
    let sink = config
        .spec(Role::Sink, SINK)
        .inspect_err(|_| password.undo())?;
    let offsite = has_offsite
        .then(|| config.spec(Role::Sink, OFFSITE))
        .transpose()
        .inspect_err(|_| password.undo())?;
    let session = Session::with_config(global, config, output)?;
    session.run(async |session| {
        let identity = create(&session.context, sink)
            .await
            .inspect_err(|_| password.undo())?;
        write(&path, &text, 0o644)?;
        // What is there by now stands, whatever becomes of the other repository.
        let offsite = match offsite {
            Some(offsite) => Some(create(&session.context, offsite).await),
            None => None,
        };
        session.screen.clear();
        let made = offsite.as_ref().and_then(|made| made.as_ref().ok());
        let value = serde_json::json!({
            "repository": repository,
            "id": identity.id,
            "offsite": made.map(|made| &made.id),
            "config": path,
            "password_file": password.file(),
        });
        session.output.result(&value, || {
            summary(&repository, &path, &password, &identity.id, made)
        });
        match offsite {
            Some(Err(error)) => Err(error.help(format!(
                "everything else is done; once this is fixed, `tthost init --sink {OFFSITE}` creates the repository"
            ))),
            _ => Ok(0),
        }
    })
}

/// Creates the repository of a sink that the configuration has.
async fn init_sink(session: &Session<'_>, name: &str) -> Result<u8> {
    let sink = session.config.spec(Role::Sink, name)?;
    let identity = create(&session.context, sink).await?;
    session.screen.clear();
    let value = serde_json::json!({ "sink": name, "id": identity.id });
    session.output.result(&value, || of_sink(name, &identity));
    Ok(0)
}

fn summary(
    repository: &Path,
    config: &Path,
    password: &Password,
    id: &str,
    offsite: Option<&Identity>,
) -> String {
    let place = match password {
        Password::Made(file) => format!("A new password is in {}.", file.display()),
        Password::Given(file) => format!("Its password is in {}.", file.display()),
        Password::Environment => "Its password is in RESTIC_PASSWORD.".into(),
    };
    let (beside, option) = match offsite {
        Some(offsite) => (of_sink(OFFSITE, offsite), " --offsite"),
        None => Default::default(),
    };
    format!(
        "created the repository {} ({})\n{beside}wrote {}\n\n{place} Nobody can restore anything without it: keep a copy \
         of it somewhere else.\n\nBack up with `tthost run --source postgres --sink {SINK}{option}`.\n",
        repository.display(),
        short(id),
        config.display()
    )
}

fn of_sink(name: &str, identity: &Identity) -> String {
    format!(
        "created the repository of {name} ({})\n",
        short(&identity.id)
    )
}

fn repository(arguments: &Init, environment: &Environment) -> Result<PathBuf> {
    let named = match (&arguments.repository, environment.get("RESTIC_REPOSITORY")) {
        (Some(named), _) => named.clone(),
        (None, Some(named)) => repository_directory(named)?,
        (None, None) => {
            return Err(Error::new(Kind::Config, "no repository is given")
                .help("give --repository DIR, or set RESTIC_REPOSITORY"));
        }
    };
    std::path::absolute(&named).map_err(|cause| {
        Error::new(
            Kind::Config,
            format!("{} is not a path: {cause}", named.display()),
        )
    })
}

/// Where the password is.
enum Password {
    /// In a new file.
    Made(PathBuf),
    /// In a file that is there.
    Given(PathBuf),
    /// In `RESTIC_PASSWORD`.
    Environment,
}

impl Password {
    fn choose(arguments: &Init, config: &Path, environment: &Environment) -> Result<Self> {
        let named = arguments.password_file.clone();
        let named = named.or_else(|| environment.get("RESTIC_PASSWORD_FILE").map(PathBuf::from));
        if named.is_none() && environment.get("RESTIC_PASSWORD").is_some() {
            return Ok(Self::Environment);
        }
        let file = named.unwrap_or_else(|| config.with_file_name("tthost.password"));
        let file = std::path::absolute(&file).map_err(|cause| {
            Error::new(
                Kind::Config,
                format!("{} is not a path: {cause}", file.display()),
            )
        })?;
        Ok(if file.exists() {
            Self::Given(file)
        } else {
            Self::Made(file)
        })
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Made(file) | Self::Given(file) => Some(file),
            Self::Environment => None,
        }
    }

    /// Where it is, as a configuration has it.
    fn value(&self) -> String {
        match self.file() {
            Some(file) => format!("{{ file = {} }}", quote(file)),
            None => "{ env = \"RESTIC_PASSWORD\" }".into(),
        }
    }

    fn make(&self) -> Result<()> {
        let Self::Made(file) = self else {
            return Ok(());
        };
        let mut random = zeroize::Zeroizing::new([0; PASSWORD_BYTES]);
        getrandom::fill(random.as_mut_slice()).map_err(|cause| {
            Error::new(
                Kind::Other,
                format!("cannot get random numbers from the system: {cause}"),
            )
        })?;
        let text = zeroize::Zeroizing::new(hex::encode(*random) + "\n");
        write(file, &text, 0o600)
    }

    /// Takes a password away that opens nothing.
    fn undo(&self) {
        if let Self::Made(file) = self {
            // It protects nothing; that it stays does no harm.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Writes a new file, with this mode from the first byte on.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        });
    written.map_err(|cause| {
        Error::new(
            Kind::Other,
            format!("{} cannot be written: {cause}", path.display()),
        )
    })
}

fn configuration(repository: &Path, password: &Password) -> String {
    let password = password.value();
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
