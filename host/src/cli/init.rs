//! `tthost init`.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::args::Global;
use super::format::short;
use super::output::{Answer, Output};
use super::{Session, load_environment};
use crate::config::InitRequest;
use crate::error::Result;
use crate::operation::init::{Password, Report};
use crate::operation::{self, Identity};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Only create the repository of this sink, which the configuration has
    #[arg(long, value_name = "NAME", conflicts_with_all = ["repository", "password_file", "offsite"])]
    sink: Option<String>,
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
    /// The repository's own id.
    id: String,
}

impl operation::Report for Created {}

/// Writes a configuration, makes a password where none is given, creates the repository.
pub(super) fn init(mut global: Global, arguments: Init, output: &Output) -> Result<Answer> {
    if let Some(sink) = &arguments.sink {
        return Session::start(global, output)?.run(async |session| init_sink(session, sink).await);
    }
    let environment = load_environment(&global)?;
    let request = InitRequest {
        config: global.config.take(),
        repository: arguments.repository,
        password_file: arguments.password_file,
        offsite: arguments.offsite,
    };
    let (config, plan) = request.plan(&environment)?;
    Session::with_config(global, config, output)?.run(async |session| {
        let report = operation::init(&session.context, plan).await?;
        if let Some(Err(error)) = report.offsite.as_ref().map(|offsite| &offsite.result) {
            session.output.failure(error);
        }
        session.output.answer(&report, || show(&report))
    })
}

/// Creates the repository of a sink that the configuration has.
async fn init_sink(session: &Session<'_>, name: &str) -> Result<Answer> {
    let sink = session.config.spec(Role::Sink, name)?;
    let identity = operation::create(&session.context, &sink).await?;
    let report = Created {
        sink: name.to_owned(),
        id: identity.id.clone(),
    };
    session.output.answer(&report, || created(name, &identity))
}

fn show(report: &Report) -> String {
    let place = match &report.password {
        Password::Made(file) => format!("A new password is in {}.", file.path().display()),
        Password::Given(path) => format!("Its password is in {}.", path.display()),
        Password::Environment(variable) => format!("Its password is in {variable}."),
    };
    let offsite = report.offsite.as_ref();
    let made = offsite.and_then(|offsite| Some((&offsite.sink, offsite.result.as_ref().ok()?)));
    let (beside, option) = match made {
        Some((sink, identity)) => (created(sink, identity), " --offsite"),
        None => Default::default(),
    };
    format!(
        "created the repository {} ({})\n{beside}wrote {}\n\n{place} Nobody can restore anything without it: keep a copy \
         of it somewhere else.\n\nBack up with `tthost run --source postgres --sink {}{option}`.\n",
        report.repository.display(),
        short(&report.id),
        report.config.display(),
        report.sink,
    )
}

fn created(name: &str, identity: &Identity) -> String {
    format!(
        "created the repository of {name} ({})\n",
        short(&identity.id)
    )
}
