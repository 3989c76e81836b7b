//! `tthost notify`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::args::Global;
use super::output::{Answer, Output};
use super::{load_config, start_tokio};
use crate::error::{Error, Kind, Result};
use crate::notify::{self, Tested};

#[derive(Debug, Args)]
pub(super) struct Notify {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send a test message through every alert, or through one. A ping URL hears of a success
    Test {
        /// The alert
        name: Option<String>,
    },
}

/// Tries alerts.
pub(super) fn notify(global: &Global, arguments: &Notify, output: &Output) -> Result<Answer> {
    let NotifyCommand::Test { name } = &arguments.command;
    let config = load_config(global)?;
    let names = match name {
        Some(name) => vec![name.as_str()],
        None => config.alert_names(),
    };
    if names.is_empty() {
        return Err(Error::new(Kind::Config, "the configuration has no alert")
            .help("add [alerts.NAME]; the page on alerts has an example of each type"));
    }
    let alerts = names.into_iter().map(|name| config.alert(name));
    let alerts = alerts.collect::<Result<Vec<_>>>()?;
    let report = start_tokio()?.block_on(notify::test(&alerts, &notify::hostname()));
    output.answer(&report, || show(&report))
}

fn show(report: &Tested) -> String {
    let mut text = String::new();
    for alert in &report.alerts {
        let _ = match &alert.error {
            None => writeln!(text, "{}: delivered", alert.alert),
            Some(error) => writeln!(text, "{}: not delivered: {error}", alert.alert),
        };
    }
    text
}
