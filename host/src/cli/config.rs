//! `tthost config`.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::args::Global;
use super::output::{Answer, Output};
use super::{Session, document, load_config};
use crate::config::{File, Retention};
use crate::error::{Error, Result};
use crate::operation::{Report, examine};

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
    /// The actual or proposed text of tthost.toml. It contains no secret.
    #[serde(serialize_with = "without_secrets")]
    config: &'a File,
}

fn without_secrets<S: Serializer>(config: &File, serializer: S) -> Result<S::Ok, S::Error> {
    config.without_secrets().serialize(serializer)
}

impl Report for Shown<'_> {}

/// Looks at the configuration.
pub(super) fn config(global: Global, arguments: &Config, output: &Output) -> Result<Answer> {
    match &arguments.command {
        ConfigCommand::Schema { command } => {
            let schema = command.as_deref().and_then(document::schema_of);
            Ok(Answer::text(schema.unwrap_or_else(File::schema)))
        }
        ConfigCommand::Show => show(&global, output),
        ConfigCommand::Check => Session::start_looking(global, output)?.run(check),
    }
}

/// Prints the configuration. Secrets are not in it, only where they come from.
fn show(global: &Global, output: &Output) -> Result<Answer> {
    let config = load_config(global)?;
    let config = config.effective();
    output.answer(&Shown { config }, || {
        toml::to_string_pretty(&config.without_secrets()).expect("it is TOML")
    })
}

/// Looks for everything that the configuration names, and tells all that is wrong.
async fn check(session: &Session<'_>) -> Result<Answer> {
    let config = &session.config;
    let mut report = examine::Report {
        file: config.path.clone(),
        ..examine::Report::default()
    };
    for part in config.parts() {
        let errors = match part.spec {
            Ok(spec) => {
                let errors = examine(&session.context, &spec).await.into_iter();
                let section = spec.role.section(&spec.name);
                errors.map(|error| config.placed(&section, error)).collect()
            }
            Err(error) => vec![error],
        };
        // The operator has not requested it.
        if part.is_optional && !errors.is_empty() {
            continue;
        }
        report_errors(session, &errors);
        report.add(part.subject, errors);
    }
    for name in config.alert_names() {
        let subject = format!("alert {name}");
        let examined = match config.alert(name) {
            Ok(alert) => {
                let examined = alert.examine().await;
                examined.map_err(|error| config.placed(&["alerts", name], error).of(&*subject))
            }
            Err(error) => Err(error),
        };
        let errors: Vec<_> = examined.err().into_iter().collect();
        report_errors(session, &errors);
        report.add(subject, errors);
    }
    if let Err(error) = config.retention(&Retention::default()) {
        let errors = vec![error];
        report_errors(session, &errors);
        report.add("retention".into(), errors);
    }
    session.output.answer(&report, || {
        let file = report.file.as_deref().unwrap_or(Path::new("no file"));
        let (file, checked) = (file.display(), report.checked.join(", "));
        match report.errors.len() {
            0 => format!("the configuration ({file}) is valid: {checked}"),
            1 => format!("the configuration ({file}) has an error"),
            errors => format!("the configuration ({file}) has {errors} errors"),
        }
    })
}

fn report_errors(session: &Session<'_>, errors: &[Error]) {
    for error in errors {
        session.output.failure(error);
    }
}
