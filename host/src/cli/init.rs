//! `tthost init`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::args::Global;
use super::ask::choose;
use super::format::short;
use super::output::{Answer, Output};
use super::{Session, load_environment, start_tokio};
use crate::config::{Environment, InitRequest, Overrides, Script, first_configuration};
use crate::error::Result;
use crate::operation;
use crate::operation::init::{Found, Password, Report};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Only create the repository of this sink, which the configuration has
    #[arg(long, value_name = "NAME", conflicts_with_all = ["repository", "password_file", "offsite", "from_env"])]
    sink: Option<String>,
    /// Switch over from a backup script: its variables, in this file or set already, and the Docker engine say what to
    /// back up [default where POSTGRES_* or `DATABASE_URL` is set]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "the option can be left out, and so can its value"
    )]
    from_env: Option<Option<PathBuf>>,
    /// The container of the database, or its compose service, where there are several
    #[arg(long, value_name = "NAME")]
    postgres: Option<String>,
    /// The volume with the uploads, where there are several
    #[arg(long, value_name = "NAME")]
    volume: Option<String>,
    /// Also create a repository in S3, s3:HOST/BUCKET/PREFIX
    /// [default: `RESTIC_OFFSITE_REPOSITORY`]
    #[arg(long, value_name = "URL")]
    offsite: Option<String>,
    /// The directory of the repository [default: `RESTIC_REPOSITORY`]
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// The file with the password; tthost creates it if it is missing
    /// [default: tthost.password beside the configuration]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The repository of a sink that the configuration has.
#[derive(Serialize, JsonSchema)]
pub(super) struct Created {
    /// The sink's name.
    sink: String,
    #[serde(flatten)]
    made: operation::Created,
}

impl operation::Report for Created {}

/// Writes a configuration, makes a password where none is given, creates the repository.
pub(super) fn init(mut global: Global, arguments: Init, output: &Output) -> Result<Answer> {
    if let Some(sink) = &arguments.sink {
        return Session::start(global, output)?.run(async |session| init_sink(session, sink).await);
    }
    if let Some(Some(file)) = &arguments.from_env {
        global.env_file = Some(file.clone());
    }
    let environment = load_environment(&global)?;
    // Before anybody is asked anything.
    first_configuration(global.config.as_deref(), &environment)?;
    let script = script(&arguments, &environment)?;
    if let Some(script) = &script {
        output.line(&show_found(&script.found()));
    }
    let request = InitRequest {
        config: global.config.take(),
        repository: arguments.repository,
        password_file: arguments.password_file,
        offsite: arguments.offsite,
        script,
    };
    let (config, plan) = request.plan(&environment)?;
    Session::with_config(global, config, output)?.run(async |session| {
        let report = operation::init(&session.context, plan).await?;
        if let Some(Err(error)) = report.offsite.as_ref().map(|offsite| &offsite.result) {
            session.output.failure(error);
        }
        session.output.outcome(&report, || show(&report))
    })
}

/// The data of the script to migrate from, if there is one.
fn script(arguments: &Init, environment: &Environment) -> Result<Option<Script>> {
    let overrides = Overrides {
        postgres: arguments.postgres.clone(),
        volume: arguments.volume.clone(),
    };
    let is_asked_for = arguments.from_env.is_some() || overrides != Overrides::default();
    if !is_asked_for && !Script::is_configured(environment) {
        return Ok(None);
    }
    start_tokio()?
        .block_on(Script::find(environment, &overrides, &mut choose))
        .map(Some)
}

/// Creates the repository of a sink that the configuration has.
async fn init_sink(session: &Session<'_>, name: &str) -> Result<Answer> {
    let sink = session.config.spec(Role::Sink, name)?;
    let made = operation::create(&session.context, &sink).await?;
    let report = Created {
        sink: name.to_owned(),
        made,
    };
    session
        .output
        .outcome(&report, || show_sink(name, &report.made))
}

fn show_found(found: &Found) -> String {
    let Found { database, user, .. } = found;
    let mut text = match (&found.container, &found.project, &found.server) {
        (Some(container), Some(project), _) => format!(
            "found the compose project {project}\nfound PostgreSQL in the container {container}: "
        ),
        (Some(container), None, _) => format!("found PostgreSQL in the container {container}: "),
        (None, _, server) => format!(
            "found the PostgreSQL server {}: ",
            server.as_deref().unwrap_or_default()
        ),
    };
    let _ = writeln!(text, "database {database}, user {user}");
    match &found.volume {
        Some(volume) => text + &format!("found the volume {volume}"),
        None => {
            text + "found no volume of uploads, so the database alone is backed up: name one with --volume"
        }
    }
}

fn show(report: &Report) -> String {
    let repository = report.repository.display();
    let id = short(&report.id);
    let local = if report.created {
        format!("created the repository {repository} ({id})\n")
    } else {
        format!("took over the repository {repository} ({id}) with its snapshots\n")
    };
    let offsite = report.offsite.as_ref();
    let there = offsite.and_then(|offsite| Some((&offsite.sink, offsite.result.as_ref().ok()?)));
    let (beside, option) = match there {
        Some((sink, created)) => (show_sink(sink, created), " --offsite"),
        None => Default::default(),
    };
    let next = if report.found.is_some() {
        "--job full".to_owned()
    } else {
        format!("--source postgres --sink {}{option}", report.sink)
    };
    format!(
        "{local}{beside}wrote {}\n\n{} Nobody can restore anything without it: keep a copy of it somewhere else.\n\n\
         Back up with `tthost run {next}`.\n",
        report.config.display(),
        show_password(&report.password, report.found.is_some()),
    )
}

/// Where the password is. That of a script's repository is also shown, as the script's bootstrap does it, so that somebody can
/// keep it.
fn show_password(password: &Password, is_shown: bool) -> String {
    match password {
        Password::Made(file, secret) if is_shown => format!(
            "The new password is {}\nIt is in {}, and is not shown again.",
            String::from_utf8_lossy(secret.expose()),
            file.path().display()
        ),
        Password::Made(file, _) => format!("A new password is in {}.", file.path().display()),
        Password::Given(path) => format!("Its password is in {}.", path.display()),
        Password::Environment(variable) => format!("Its password is in {variable}."),
    }
}

fn show_sink(name: &str, created: &operation::Created) -> String {
    let id = short(&created.identity.id);
    if created.is_new {
        format!("created the repository of {name} ({id})\n")
    } else {
        format!("took over the repository of {name} ({id}) with its snapshots\n")
    }
}
