//! `tthost plugin`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::Session;
use super::conformance::{Test, test};
use super::output::Answer;
use super::table::table;
use crate::confine;
use crate::error::Result;
use crate::grant::Grants;
use crate::operation::Report;
use crate::plugin::{Description, Role, bundled};

#[derive(Debug, Args)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the bundled plugins, and the configured sources and sinks
    List,
    /// Print what a plugin needs and imports, what it is granted, how its programs are confined, and the schema of its settings
    Inspect {
        /// A source, a sink, a bundled plugin, or a file
        plugin: String,
    },
    /// Test whether a plugin keeps the contract: one named check for each rule
    Test(Test),
}

impl Plugin {
    /// Whether a plugin is put to the test: then most of what goes wrong is meant to.
    pub(super) fn is_test(&self) -> bool {
        matches!(self.command, PluginCommand::Test(_))
    }
}

/// Looks at plugins.
pub(super) async fn plugin(session: &Session<'_>, arguments: &Plugin) -> Result<Answer> {
    match &arguments.command {
        PluginCommand::List => list(session),
        PluginCommand::Inspect { plugin } => inspect(session, plugin).await,
        PluginCommand::Test(arguments) => Box::pin(test(session, arguments)).await,
    }
}

/// What there is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Plugins {
    /// The bundled plugins, and the configured sources and sinks.
    plugins: Vec<Listed>,
}

/// A plugin, or a use of one.
#[derive(Serialize, JsonSchema)]
struct Listed {
    /// Its name.
    name: String,
    /// `source` or `sink`.
    role: &'static str,
    /// `bundled plugin` or `configured`.
    kind: &'static str,
}

impl Report for Plugins {}

/// What a plugin is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Inspected {
    /// What it says of itself, and what it imports.
    plugin: Description,
    /// The programs that it may run.
    commands: Vec<Granted>,
}

/// A program that a plugin may run, and how it is confined on this machine.
#[derive(Serialize, JsonSchema)]
struct Granted {
    /// The name by which the plugin asks for it.
    name: String,
    /// The program.
    program: String,
    /// Whether it has a network.
    network: bool,
    /// Whether it may use the Docker engine.
    docker: bool,
    /// What this kernel does not enforce of what the documentation promises.
    not_enforced: Vec<String>,
}

impl Report for Inspected {}

fn list(session: &Session<'_>) -> Result<Answer> {
    let bundled = bundled()
        .iter()
        .map(|plugin| (plugin.name, plugin.role, "bundled plugin"));
    let uses = [Role::Source, Role::Sink].into_iter().flat_map(|role| {
        session
            .config
            .names(role)
            .into_iter()
            .map(move |name| (name, role, "configured"))
    });
    let all = bundled.chain(uses).map(|(name, role, kind)| Listed {
        name: name.to_owned(),
        role: match role {
            Role::Source => "source",
            Role::Sink => "sink",
        },
        kind,
    });
    let report = Plugins {
        plugins: all.collect(),
    };
    session.output.answer(&report, || {
        let mut rows = vec![["NAME", "ROLE", "KIND"].map(str::to_owned).to_vec()];
        rows.extend(report.plugins.iter().map(|plugin| {
            let Listed { name, role, kind } = plugin;
            vec![name.clone(), (*role).to_owned(), (*kind).to_owned()]
        }));
        table(&rows)
    })
}

async fn inspect(session: &Session<'_>, name: &str) -> Result<Answer> {
    let (origin, grants) = session.config.find_plugin(name)?;
    let plugin = session.context.runtime.describe(&origin, &grants).await?;
    let commands = programs(&grants).await;
    let report = Inspected { plugin, commands };
    session.output.answer(&report, || show(&report))
}

async fn programs(grants: &Grants) -> Vec<Granted> {
    if grants.commands.is_empty() {
        return Vec::new();
    }
    let kernel = confine::kernel().await;
    let programs = grants.commands.iter().map(|(name, command)| Granted {
        name: name.clone(),
        program: command.program.clone(),
        network: command.confinement.network,
        docker: command.confinement.docker,
        not_enforced: kernel.gaps(&command.confinement),
    });
    programs.collect()
}

fn show_programs(programs: &[Granted]) -> String {
    if programs.is_empty() {
        return String::new();
    }
    let yes = |has: bool| if has { "yes" } else { "no" }.to_owned();
    let mut rows = vec![
        ["COMMAND", "PROGRAM", "NETWORK", "DOCKER", "CONFINED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(programs.iter().map(|program| {
        let confined = if program.not_enforced.is_empty() {
            "yes"
        } else {
            "not as documented"
        };
        vec![
            program.name.clone(),
            program.program.clone(),
            yes(program.network),
            yes(program.docker),
            confined.into(),
        ]
    }));
    let gaps: BTreeSet<_> = programs
        .iter()
        .flat_map(|program| &program.not_enforced)
        .collect();
    let gaps: Vec<_> = gaps
        .into_iter()
        .map(|gap| format!("not enforced on this machine: {gap}\n"))
        .collect();
    format!("\n{}{}", table(&rows), gaps.concat())
}

fn show(report: &Inspected) -> String {
    let description = &report.plugin;
    let mut needs = vec![
        ["NEEDS", "NAME", "GRANTED", "FOR"]
            .map(str::to_owned)
            .to_vec(),
    ];
    needs.extend(description.needs.iter().map(|need| {
        let (_, word) = need.resource.names();
        let granted = match (need.granted, need.optional) {
            (true, _) => "yes",
            (false, true) => "no (optional)",
            (false, false) => "no",
        };
        vec![
            word.into(),
            need.name.clone(),
            granted.into(),
            need.reason.clone(),
        ]
    }));
    let mut rows = vec![["IMPORTS", "GRANT", "GRANTED"].map(str::to_owned).to_vec()];
    rows.extend(description.imports.iter().map(|import| {
        let needs = import.needs.unwrap_or("nothing");
        let granted = if import.granted { "yes" } else { "no" };
        vec![import.interface.clone(), needs.into(), granted.into()]
    }));
    format!(
        "{} {}\n{}\nsha256: {}\n\n{}\n{}{}\nconfig:\n{}\n",
        description.name,
        description.version,
        description.summary,
        description.sha256,
        if description.needs.is_empty() {
            String::new()
        } else {
            table(&needs)
        },
        table(&rows),
        show_programs(&report.commands),
        serde_json::to_string_pretty(&description.config_schema).expect("it came from JSON")
    )
}
