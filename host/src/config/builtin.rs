//! Sources and sinks that exist without a configuration file, from the variables of libpq and restic.

use std::path::Path;

use super::file::{
    Access, Command, Directory, DirectoryPath, File, Grants, Limits, Plugin, PluginSection, Sink,
    Tree, Value,
};
use super::{Environment, Named, offsite};
use crate::error::{Error, Kind, Result};
use crate::operator_file;
use crate::plugin::Role;
use crate::tree::OperatorPath;

/// The programs of `PostgreSQL` that postgres-source runs.
const PROGRAMS: [&str; 4] = ["pg_dump", "pg_dumpall", "psql", "pg_restore"];

/// The reference to the password.
const PASSWORD: &str = "RESTIC_PASSWORD";

/// The names of what exists without a file.
const SOURCE: &str = "postgres";
pub(super) const SINK: &str = "restic-local";

/// The configuration that exists without a file.
#[derive(Debug, Default)]
pub(super) struct Builtin {
    /// The entries that were added to the file.
    pub(super) added: Vec<(Role, String)>,
    /// Why the sink `offsite` cannot be used, where the environment names a place for it.
    pub(super) offsite: Option<Error>,
}

/// Adds the source `postgres` and the sink `restic-local`, and where the environment names an
/// offsite repository the sink `offsite`, unless the file has them.
pub(super) fn add(file: &mut File, environment: &Environment) -> Builtin {
    let mut added = Vec::new();
    file.sources.entry(SOURCE.into()).or_insert_with(|| {
        added.push((Role::Source, SOURCE.into()));
        let command = |program: &str| Command {
            argv: vec![program.into()],
            // HOME is where libpq looks for .pgpass and .pg_service.conf.
            inherit: vec!["PG*".into(), "HOME".into()],
            ..Command::default()
        };
        let commands = PROGRAMS
            .iter()
            .map(|program| ((*program).to_owned(), command(program)))
            .collect();
        bundled(
            "postgres-source",
            Grants {
                commands,
                ..Grants::default()
            },
        )
    });
    file.sinks.entry(SINK.into()).or_insert_with(|| {
        added.push((Role::Sink, SINK.into()));
        let directory = Directory {
            path: DirectoryPath::ResticRepository,
            access: Access::ReadWrite,
        };
        let password = Value {
            env: Some(PASSWORD.into()),
            ..Value::default()
        };
        let grants = Grants {
            directories: Named::from([("repository".into(), directory)]),
            secrets: Named::from([("password".into(), password)]),
            ..Grants::default()
        };
        local(grants)
    });
    let mut unusable = None;
    if !file.sinks.contains_key(offsite::SINK) {
        match offsite::sink(environment) {
            Ok(None) => {}
            Ok(Some(sink)) => {
                added.push((Role::Sink, offsite::SINK.into()));
                file.sinks.insert(offsite::SINK.into(), sink);
            }
            Err(error) => unusable = Some(error),
        }
    }
    Builtin {
        added,
        offsite: unusable,
    }
}

fn local(grants: Grants) -> Sink {
    Sink {
        plugin: Plugin::Bundled("restic-sink".into()),
        required: true,
        offsite: false,
        config: serde_json::Map::new(),
        grants,
        limits: Limits::default(),
        store: None,
    }
}

/// A source by the one name that it has: `dir:` with an absolute path that goes no detours. Other names stay as they are.
pub(super) fn canonical(name: &str) -> String {
    let direct = name
        .strip_prefix("dir:")
        .and_then(|path| OperatorPath::new(Path::new(path)).direct().ok());
    match direct {
        Some(direct) => format!("dir:{}", direct.as_path().display()),
        None => name.to_owned(),
    }
}

/// The source that a name like `dir:/path` or `volume:NAME` is short for.
pub(super) fn source(name: &str) -> Option<Result<PluginSection>> {
    let tree = if let Some(volume) = name.strip_prefix("volume:") {
        Ok(Tree {
            volume: Some(volume.into()),
            ..Tree::default()
        })
    } else {
        // Relative to where the command is given, and not to a configuration.
        let path = std::path::absolute(name.strip_prefix("dir:")?);
        path.map(|path| Tree {
            path: Some(path),
            ..Tree::default()
        })
        .map_err(|cause| {
            Error::new(Kind::Config, format!("{name} does not name a directory")).caused_by(cause)
        })
    };
    Some(tree.map(|tree| {
        let grants = Grants {
            trees: Named::from([("files".into(), tree)]),
            ..Grants::default()
        };
        bundled("volume-source", grants)
    }))
}

fn bundled(name: &str, grants: Grants) -> PluginSection {
    PluginSection {
        plugin: Plugin::Bundled(name.into()),
        tags: Vec::new(),
        host: None,
        config: serde_json::Map::new(),
        grants,
        limits: Limits::default(),
        retention: None,
    }
}

/// The directory that `RESTIC_REPOSITORY` or `RESTIC_REPOSITORY_FILE` names.
pub(super) fn repository(environment: &Environment) -> Result<std::path::PathBuf> {
    let named = match (
        environment.get("RESTIC_REPOSITORY"),
        environment.get("RESTIC_REPOSITORY_FILE"),
    ) {
        (Some(named), _) => named.to_owned(),
        (None, Some(file)) => {
            let text = operator_file::read_text(Path::new(file)).map_err(|cause| {
                let text = format!("RESTIC_REPOSITORY_FILE {file} cannot be read");
                Error::new(Kind::Config, text).caused_by(cause)
            })?;
            text.trim().to_owned()
        }
        (None, None) => {
            return Err(Error::new(
                Kind::Config,
                "RESTIC_REPOSITORY is not set, and no configuration names a repository",
            )
            .help(
                "set RESTIC_REPOSITORY to a directory, or write a configuration with `tthost init`",
            ));
        }
    };
    directory(&named)
}

/// The directory that restic's name of a repository means.
pub(super) fn directory(repository: &str) -> Result<std::path::PathBuf> {
    let path = repository.strip_prefix("local:").unwrap_or(repository);
    let scheme = path.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| {
        ["s3", "sftp", "rest", "b2", "azure", "gs", "swift", "rclone"].contains(&scheme)
    }) {
        // Behind other schemes, the user's password can be a part of it.
        let shown = match scheme {
            Some(scheme) if scheme != "s3" => &format!("{scheme}:…"),
            _ => repository,
        };
        return Err(Error::new(
            Kind::Unsupported,
            format!("the repository {shown} is not a directory on this machine"),
        )
        .help(if scheme == Some("s3") {
            "the sink offsite stores there: name it with --sink"
        } else {
            "restic-local stores in a directory"
        }));
    }
    Ok(path.into())
}

/// What `RESTIC_PASSWORD` is replaced by where restic replaces it: by a program or a file, which win.
pub(super) fn password(value: &Value, environment: &Environment) -> Result<Option<Value>> {
    if value.env.as_deref() != Some(PASSWORD) {
        return Ok(None);
    }
    let file = environment.get("RESTIC_PASSWORD_FILE");
    let command = environment.get("RESTIC_PASSWORD_COMMAND");
    let command = match (file, command) {
        (Some(_), Some(_)) => {
            let text = "RESTIC_PASSWORD_FILE and RESTIC_PASSWORD_COMMAND are both set";
            return Err(Error::new(Kind::Config, text).help("unset one of them"));
        }
        (Some(file), None) => {
            return Ok(Some(Value {
                file: Some(file.into()),
                ..Value::default()
            }));
        }
        (None, Some(command)) => command,
        (None, None) => return Ok(None),
    };
    // Split like a shell's words, and not run by one.
    let words = shlex::split(command).ok_or_else(|| {
        Error::new(
            Kind::Config,
            "RESTIC_PASSWORD_COMMAND has a quote that is not closed",
        )
    })?;
    Ok(Some(Value {
        command: Some(words),
        ..Value::default()
    }))
}
