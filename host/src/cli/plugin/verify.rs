//! `tthost plugin verify`.

use clap::Args;

use super::list::state;
use super::options::Reach;
use crate::cli::Session;
use crate::cli::output::Answer;
use crate::cli::table::table;
use crate::error::Result;
use crate::operation::plugins::{self, Checked, Report};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The sources and sinks [default: all whose plugin is in a file]
    name: Vec<String>,
    /// Also ask the registries whether their tags still mean the pinned components
    #[arg(long)]
    registry: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Compares plugins with their pins.
pub(super) async fn verify(session: &Session<'_>, arguments: Verify) -> Result<Answer> {
    let plugins = if arguments.name.is_empty() {
        session.config.plugins()?
    } else {
        let find = |name| session.config.plugin_in_file(name, None);
        let found = arguments.name.iter().map(|name| find(name));
        found.collect::<Result<_>>()?
    };
    let access = arguments.reach.access(session);
    let registries = arguments.registry.then_some(&access);
    let report = plugins::verify(&session.context, plugins, registries).await?;
    for plugin in &report.plugins {
        if let Some(error) = plugin
            .registry
            .as_ref()
            .and_then(|asked| asked.offered.as_ref().err())
        {
            session
                .output
                .warning(&format!("{error:#}"), error.next_step());
        }
    }
    session.output.answer(&report, || show(&report))
}

fn show(report: &Report) -> String {
    if report.plugins.is_empty() {
        return "no source or sink uses a plugin in a file\n".into();
    }
    let mut rows = vec![
        ["NAME", "ROLE", "FILE", "PIN", "REGISTRY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.plugins.iter().map(|plugin| {
        let Checked {
            name,
            role,
            file,
            pin,
            ..
        } = plugin;
        let cells = [name, role.word(), &file.display().to_string(), state(*pin)];
        let mut cells = cells.map(str::to_owned).to_vec();
        cells.push(registry(plugin));
        cells
    }));
    table(&rows)
}

fn registry(plugin: &Checked) -> String {
    match plugin.registry.as_ref().map(|asked| &asked.offered) {
        None => String::new(),
        Some(Err(_)) => "not known".into(),
        Some(Ok(offered)) if offered.is_pinned => "the same".into(),
        Some(Ok(offered)) => format!(
            "has another one now ({}): `tthost plugin update {}` shows it",
            offered.sha256, plugin.name
        ),
    }
}
