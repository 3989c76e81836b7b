//! `tthost plugin inspect`.

use std::collections::BTreeSet;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::options::RoleName;
use crate::cli::Session;
use crate::cli::output::Answer;
use crate::cli::table::table;
use crate::confine;
use crate::error::Result;
use crate::grant::Grants;
use crate::operation::Report;
use crate::plugin::{ContractVersions, Description, Role, spoken};

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A source, a sink, a bundled plugin, or a file
    plugin: String,
    /// Look at the source, the sink, or the store of the sink of this name
    #[arg(long = "as", value_name = "ROLE")]
    role: Option<RoleName>,
}

/// The description of a plugin.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Inspected {
    /// Its description and its imports.
    plugin: Description,
    /// The versions of the contract that this tthost speaks.
    spoken: ContractVersions,
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
    /// The documented restrictions that this kernel cannot enforce.
    not_enforced: Vec<String>,
}

impl Report for Inspected {}

/// Looks at a plugin.
pub(super) async fn inspect(session: &Session<'_>, arguments: &Inspect) -> Result<Answer> {
    let role = arguments.role.map(Role::from);
    let (origin, grants) = session.config.find_plugin(&arguments.plugin, role)?;
    let plugin = session.context.runtime.describe(&origin, &grants).await?;
    let commands = programs(&grants).await;
    let report = Inspected {
        plugin,
        spoken: spoken(),
        commands,
    };
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
        ["NEEDS", "NAME", "GRANTED", "FOR", "GRANT"]
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
            need.grant.clone().unwrap_or_default(),
        ]
    }));
    let mut rows = vec![["IMPORTS", "GRANT", "GRANTED"].map(str::to_owned).to_vec()];
    rows.extend(description.imports.iter().map(|import| {
        let needs = import.needs.unwrap_or("nothing");
        let granted = if import.granted { "yes" } else { "no" };
        vec![import.interface.clone(), needs.into(), granted.into()]
    }));
    format!(
        "{} {}\n{}\ncontract: {} (this tthost speaks {})\nsha256: {}\n\n{}\n{}{}\nconfig:\n{}\n",
        description.name,
        description.version,
        description.summary,
        description.contract,
        report.spoken.shown(),
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
