//! `tthost config`.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::args::Global;
use super::output::{Answer, Output};
use super::{Session, document, load_config};
use crate::config::File;
use crate::error::Result;
use crate::operation::Report;

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration and everything that it names
    Check,
    /// Print the configuration with all defaults
    Show,
    /// Print the JSON Schema of the configuration, or of what a command prints with --json
    Schema {
        /// The command; `plugin-list` for `plugin list`
        #[arg(value_parser = PossibleValuesParser::new(document::schemas()))]
        command: Option<String>,
    },
}

/// The configuration with all defaults.
#[derive(Serialize, JsonSchema)]
pub(super) struct Shown<'a> {
    /// What tthost.toml says, or would say. No secret is in it.
    config: &'a File,
}

/// A configuration that is right.
#[derive(Serialize, JsonSchema)]
pub(super) struct Checked {
    /// The file that was read; null where there is none.
    file: Option<PathBuf>,
    /// The sources, sinks and alerts, for example `source postgres`.
    checked: Vec<String>,
}

impl Report for Shown<'_> {}

impl Report for Checked {}

/// Looks at the configuration.
pub(super) fn config(global: Global, arguments: &Config, output: &Output) -> Result<Answer> {
    match &arguments.command {
        ConfigCommand::Schema { command } => {
            let schema = command.as_deref().and_then(document::schema_of);
            Ok(Answer::text(schema.unwrap_or_else(File::schema)))
        }
        ConfigCommand::Show => show(&global, output),
        ConfigCommand::Check => Session::start(global, output)?.run(check),
    }
}

/// Prints the configuration. Secrets are not in it, only where they come from; texts that
/// are given to programs are.
fn show(global: &Global, output: &Output) -> Result<Answer> {
    let config = load_config(global)?;
    let config = config.effective();
    output.answer(&Shown { config }, || {
        toml::to_string_pretty(config).expect("it is TOML")
    })
}

/// Builds everything that the configuration names, secrets included, and loads the plugins.
async fn check(session: &Session<'_>) -> Result<Answer> {
    let config = &session.config;
    let mut checked = Vec::new();
    for spec in config.specs()? {
        for import in session.context.runtime.check(&spec).await? {
            let text = format!(
                "{} imports {} and is not granted {}: its calls are denied",
                spec.subject(),
                import.interface,
                import.needs.unwrap_or_default()
            );
            session.output.warning(&text, None);
        }
        checked.push(spec.subject());
    }
    for name in config.alert_names() {
        config.alert(name)?;
        checked.push(format!("alert {name}"));
    }
    let file = config.path.clone();
    let report = Checked { file, checked };
    session.output.answer(&report, || {
        let file = report.file.as_deref().unwrap_or(Path::new("no file"));
        format!(
            "the configuration ({}) is valid: {}",
            file.display(),
            report.checked.join(", ")
        )
    })
}
