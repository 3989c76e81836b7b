//! `tthost config`.

use clap::{Args, Subcommand};

use super::args::Global;
use super::output::{Output, print};
use super::{Session, load_config};
use crate::config::File;
use crate::error::Result;
use crate::operation::Verdict;

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
    /// Print the JSON Schema of the configuration
    Schema,
}

/// Looks at the configuration.
pub(super) fn config(global: Global, arguments: &Config, output: &Output) -> Result<Verdict> {
    match arguments.command {
        ConfigCommand::Schema => print(&File::schema()),
        ConfigCommand::Show => show(&global, output)?,
        ConfigCommand::Check => return Session::start(global, output)?.run(check),
    }
    Ok(Verdict::Done)
}

/// Prints the configuration. Secrets are not in it, only where they come from; texts that
/// are given to programs are.
fn show(global: &Global, output: &Output) -> Result<()> {
    let config = load_config(global)?;
    output.result(config.effective(), || {
        toml::to_string_pretty(config.effective()).expect("it is TOML")
    });
    Ok(())
}

/// Builds everything that the configuration names, secrets included, and loads the plugins.
async fn check(session: &Session<'_>) -> Result<Verdict> {
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
    session.screen.clear();
    let place = config
        .path
        .as_deref()
        .map_or_else(|| "no file".into(), |path| path.display().to_string());
    session.output.result(
        &serde_json::json!({ "file": config.path, "checked": checked }),
        || {
            format!(
                "the configuration ({place}) is valid: {}",
                checked.join(", ")
            )
        },
    );
    Ok(Verdict::Done)
}
