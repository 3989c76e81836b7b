//! `tthost plugin`.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::Session;
use super::output::Answer;
use super::table::table;
use crate::error::Result;
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
    /// Print what a plugin needs and imports, what it is granted, and the schema of its settings
    Inspect {
        /// A source, a sink, a bundled plugin, or a file
        plugin: String,
    },
}

/// Looks at plugins.
pub(super) async fn plugin(session: &Session<'_>, arguments: &Plugin) -> Result<Answer> {
    match &arguments.command {
        PluginCommand::List => list(session),
        PluginCommand::Inspect { plugin } => inspect(session, plugin).await,
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
    let report = Inspected { plugin };
    session.output.answer(&report, || show(&report.plugin))
}

fn show(description: &Description) -> String {
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
        "{} {}\n{}\nsha256: {}\n\n{}\n{}\nconfig:\n{}\n",
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
        serde_json::to_string_pretty(&description.config_schema).expect("it came from JSON")
    )
}
