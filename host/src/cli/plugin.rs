//! `tthost plugin`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Session;
use super::table::table;
use crate::error::Result;
use crate::operation::Verdict;
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
pub(super) async fn plugin(session: &Session<'_>, arguments: &Plugin) -> Result<Verdict> {
    match &arguments.command {
        PluginCommand::List => list(session),
        PluginCommand::Inspect { plugin } => inspect(session, plugin).await?,
    }
    Ok(Verdict::Done)
}

fn list(session: &Session<'_>) {
    let word = |role| match role {
        Role::Source => "source",
        Role::Sink => "sink",
    };
    let mut rows = vec![["NAME", "ROLE", "KIND"].map(str::to_owned).to_vec()];
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
    let all: Vec<_> = bundled.chain(uses).collect();
    rows.extend(all.iter().map(|(name, role, what)| {
        vec![(*name).to_owned(), word(*role).into(), (*what).to_owned()]
    }));
    let value: Vec<_> = all
        .iter()
        .map(|(name, role, what)| json!({ "name": name, "role": word(*role), "kind": what }))
        .collect();
    session.output.result(&value, || table(&rows));
}

async fn inspect(session: &Session<'_>, name: &str) -> Result<()> {
    let (origin, grants) = session.config.find_plugin(name)?;
    let description = session.context.runtime.describe(&origin, &grants).await?;
    session.screen.clear();
    session.output.result(&description, || show(&description));
    Ok(())
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
