//! `tthost plugin remove`.

use clap::Args;

use super::options::RoleName;
use crate::cli::Session;
use crate::cli::output::Answer;
use crate::error::Result;
use crate::operation::plugins::{self, Removed};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The source or sink; a store goes with its sink
    name: String,
    /// It is this, where several things have the name
    #[arg(long = "as", value_name = "ROLE")]
    role: Option<RoleName>,
}

/// Takes a plugin out of the configuration.
pub(super) fn remove(session: &Session<'_>, arguments: &Remove) -> Result<Answer> {
    let config = &session.config;
    let plugin = config.plugin_in_file(&arguments.name, arguments.role.map(Role::from))?;
    let report = plugins::remove(config.removal(plugin)?)?;
    session.output.outcome(&report, || show(&report))
}

fn show(report: &Removed) -> String {
    let Removed {
        name,
        role,
        config,
        file,
    } = report;
    let what = match role {
        Role::Source | Role::Sink => format!("{} {name}", role.word()),
        Role::Store => format!("sink {name} with its store"),
    };
    format!(
        "took the {what} out of {}\nWhat it has stored stays, and so does its file {}: a run may be using it.\n",
        config.display(),
        file.display()
    )
}
