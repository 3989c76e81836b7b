//! `tthost plugin`. One file per command.

mod add;
mod dev;
mod inspect;
mod list;
mod new;
mod options;
mod push;
mod remove;
mod update;
mod verify;
mod words;

use clap::{Args, Subcommand};

use super::Session;
use super::conformance::{Test, test};
use super::output::Answer;
use crate::error::Result;

pub(super) use inspect::Inspected;
pub(super) use list::Plugins;

#[derive(Debug, Args)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the bundled plugins, and what the configured sources and sinks use
    List,
    /// Print what a plugin needs and imports, what it is granted, how its programs are confined, and the schema of its settings
    Inspect(inspect::Inspect),
    /// Add a third-party plugin to the configuration, with the grants that you give it
    Add(add::Add),
    /// Exchange a plugin for another version, after showing what is different
    Update(update::Update),
    /// Compare plugins with their pins
    Verify(verify::Verify),
    /// Take a plugin out of the configuration, and leave its data
    Remove(remove::Remove),
    /// Make a project for a plugin of your own, which builds at once
    New(new::New),
    /// Build a plugin of your own and run the quick checks, again on each change
    Dev(dev::Dev),
    /// Test whether a plugin keeps the contract: one named check for each rule
    Test(Test),
    /// Publish a plugin in a registry
    Push(push::Push),
}

impl Plugin {
    /// Whether a plugin is put to the test: then most of what goes wrong is meant to.
    pub(super) fn is_test(&self) -> bool {
        matches!(self.command, PluginCommand::Test(_) | PluginCommand::Dev(_))
    }

    /// Whether every call is shown.
    pub(super) fn is_traced(&self) -> bool {
        match &self.command {
            PluginCommand::Test(test) => test.trace,
            PluginCommand::Dev(dev) => dev.trace,
            _ => false,
        }
    }
}

/// Looks at plugins, takes them in, tests and publishes them.
pub(super) async fn plugin(session: &Session<'_>, arguments: Plugin) -> Result<Answer> {
    match arguments.command {
        PluginCommand::List => list::list(session).await,
        PluginCommand::Inspect(arguments) => inspect::inspect(session, &arguments).await,
        PluginCommand::Add(arguments) => add::add(session, arguments).await,
        PluginCommand::Update(arguments) => update::update(session, arguments).await,
        PluginCommand::Verify(arguments) => verify::verify(session, arguments).await,
        PluginCommand::Remove(arguments) => remove::remove(session, &arguments),
        PluginCommand::New(arguments) => new::new(session, arguments),
        PluginCommand::Dev(arguments) => Box::pin(dev::dev(session, &arguments)).await,
        PluginCommand::Test(arguments) => Box::pin(test(session, &arguments)).await,
        PluginCommand::Push(arguments) => push::push(session, arguments).await,
    }
}
