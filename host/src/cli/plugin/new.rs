//! `tthost plugin new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::output::Answer;
use crate::error::Result;
use crate::operation::plugins::{self, Created, Project};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(crate) struct New {
    /// What the plugin is called, and its directory, which is made
    name: String,
    /// What the plugin is going to be
    #[arg(long, value_name = "KIND")]
    kind: KindName,
    /// The SDK: the directory `crates/plugin-sdk` of a clone of tthost
    #[arg(long, value_name = "DIR")]
    sdk: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindName {
    Source,
    Sink,
    Store,
}

/// Makes a project for a plugin.
pub(super) fn new(session: &Session<'_>, arguments: New) -> Result<Answer> {
    let New { name, kind, sdk } = arguments;
    let role = match kind {
        KindName::Source => Role::Source,
        KindName::Sink => Role::Sink,
        KindName::Store => Role::Store,
    };
    let report = plugins::create(&Project { name, role, sdk })?;
    session.output.outcome(&report, || show(&report))
}

fn show(report: &Created) -> String {
    let directory = report.directory.display();
    format!(
        "made {} in {directory}\n\nBuild it with\n  cd {directory}\n  cargo build --release --target wasm32-wasip2\n\
         README.md there says how to go on.\n",
        format_args!("the {} {}", report.role.word(), report.name),
    )
}
