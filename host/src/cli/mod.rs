//! The command line: parses, prints, and nothing else. One file per command.

mod args;
mod ask;
mod check;
mod completions;
mod config;
mod copy;
mod format;
mod init;
mod interrupt;
mod output;
mod plugin;
mod probe;
mod prune;
mod restore;
mod run;
mod screen;
mod snapshots;
mod table;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment};
use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::plugin::Runtime;
use args::{Cli, Command, Global};
use output::Output;
use screen::Screen;

/// The exit codes, which are restic's.
///
/// A run of several parts that partly succeeded exits with [`exit::INCOMPLETE`]; one that
/// failed altogether, or in a sink that is required, with the code of that error
/// ([`Error::exit_code`]): 10 no repository, 11 locked, 12 wrong password, 130 interrupted, 1
/// anything else. A command line that cannot be understood exits with 2.
mod exit {
    /// Something failed.
    pub(super) const FAILED: u8 = 1;
    /// Some of the snapshots were made, and some were not.
    pub(super) const INCOMPLETE: u8 = 3;
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    allow_open_files();
    let output = Output::new(cli.global.json, cli.global.quiet);
    let code = match execute(cli, &output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    };
    ExitCode::from(code)
}

/// Allows as many open files as the system permits: every directory between the top of a tree and
/// what is worked on is one.
fn allow_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    // With fewer, all but the deepest trees are fine.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn execute(cli: Cli, output: &Output) -> Result<u8> {
    let Cli { global, command } = cli;
    match command {
        Command::Completions(arguments) => {
            completions::completions(&arguments);
            Ok(0)
        }
        Command::Config(arguments) => config::config(global, &arguments, output),
        Command::Plugin(arguments) => Session::start(global, output)?
            .run(async |session| plugin::plugin(session, &arguments).await),
        Command::Init(arguments) => init::init(global, &arguments, output),
        Command::Run(arguments) => {
            Session::start(global, output)?.run(async |session| run::run(session, &arguments).await)
        }
        Command::Snapshots(arguments) => Session::start(global, output)?
            .run(async |session| snapshots::snapshots(session, &arguments).await),
        Command::Restore(arguments) => Session::start(global, output)?
            .run(async |session| Box::pin(restore::restore(session, &arguments)).await),
        Command::Copy(arguments) => Session::start(global, output)?
            .run(async |session| copy::copy(session, &arguments).await),
        Command::Prune(arguments) => Session::start(global, output)?
            .run(async |session| prune::prune(session, &arguments).await),
        Command::Probe(arguments) => Session::start(global, output)?
            .run(async |session| probe::probe(session, &arguments).await),
        Command::Check(arguments) => Session::start(global, output)?
            .run(async |session| check::check(session, &arguments).await),
    }
}

/// Reads the environment and the configuration.
fn load_config(global: &Global) -> Result<Config> {
    let mut environment = Environment::of_process();
    if let Some(path) = &global.env_file {
        environment.add_file(path)?;
    }
    Config::load(global.config.as_deref(), environment)
}

/// What the commands that run plugins need.
struct Session<'a> {
    config: Config,
    context: Context,
    screen: Arc<Screen>,
    output: &'a Output,
    tokio: Option<tokio::runtime::Runtime>,
}

impl<'a> Session<'a> {
    fn start(global: Global, output: &'a Output) -> Result<Self> {
        let config = load_config(&global)?;
        Self::with_config(global, config, output)
    }

    fn with_config(global: Global, config: Config, output: &'a Output) -> Result<Self> {
        let cache = global
            .cache_dir
            .or_else(|| default_cache(config.environment()));
        let screen = Arc::new(Screen::new(global.verbose, global.quiet, output.is_json()));
        let context = Context {
            runtime: Runtime::new(cache)?,
            events: screen.clone(),
            cancel: CancellationToken::new(),
        };
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::new(Kind::Other, format!("cannot start threads: {cause}")))?;
        Ok(Self {
            config,
            context,
            screen,
            output,
            tokio: Some(tokio),
        })
    }

    fn run(mut self, command: impl AsyncFnOnce(&Self) -> Result<u8>) -> Result<u8> {
        let Some(tokio) = self.tokio.take() else {
            return Ok(exit::FAILED);
        };
        let result = tokio.block_on(async {
            interrupt::listen(&self.context.cancel)?;
            command(&self).await
        });
        // What is still running was given up; nobody waits for it.
        tokio.shutdown_background();
        result
    }
}

/// The sinks that `--offsite` adds, where it was given.
fn offsite(session: &Session<'_>, given: bool) -> Result<Vec<String>> {
    if !given {
        return Ok(Vec::new());
    }
    let sinks = session.config.offsite();
    if sinks.is_empty() {
        return Err(Error::new(Kind::Config, "no sink is marked as offsite").help(
            "add `offsite = true` to a sink of the configuration, or set RESTIC_OFFSITE_REPOSITORY to s3:HOST/BUCKET",
        ));
    }
    Ok(sinks.into_iter().map(str::to_owned).collect())
}

/// Where compiled components are kept: `$XDG_CACHE_HOME/tthost`, else `~/.cache/tthost`.
fn default_cache(environment: &Environment) -> Option<std::path::PathBuf> {
    let base = match environment.get("XDG_CACHE_HOME") {
        Some(cache) => std::path::PathBuf::from(cache),
        None => std::path::Path::new(environment.get("HOME")?).join(".cache"),
    };
    Some(base.join("tthost"))
}
