//! The command line: parses, prints, and nothing else. One file per command.

mod args;
mod aside;
mod ask;
mod auto;
mod backup;
mod check;
mod completions;
mod config;
mod conformance;
mod copy;
mod daemon;
mod destination;
mod document;
mod drill;
mod dump;
mod foreign;
mod forget;
mod format;
mod history;
mod init;
mod interrupt;
mod log;
mod ls;
mod notify;
mod output;
mod plugin;
mod preflight;
mod probe;
mod prune;
mod record;
mod replaced;
mod restore;
mod retention;
mod run;
mod schedule;
mod screen;
mod snapshots;
mod standard;
mod status;
mod table;
mod unlock;
mod usage;

use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment};
use crate::error::{Error, Kind, Result};
use crate::journal::Journal;
use crate::operation::{self, Context};
use crate::plugin::Runtime;
use args::{Cli, Command, Global};
use output::{Answer, Output};
use screen::Screen;

/// Runs the program.
pub fn main() -> ExitCode {
    if let Some(code) = aside::aside() {
        return code;
    }
    let (cli, command) = match args::parse() {
        Ok(parsed) => parsed,
        Err(refused) => return ExitCode::from(usage::refuse(refused)),
    };
    allow_open_files();
    let screen = Arc::new(Screen::new(&cli.global));
    let note = {
        let screen = screen.clone();
        move |line: &str| screen.note(line)
    };
    match &cli.command {
        Command::Plugin(plugin) if plugin.is_test() => {
            log::start_for_test(&cli.global, plugin.is_traced(), note);
        }
        _ => log::start(&cli.global, note),
    }
    let json = cli.global.json && !cli.command.writes_data();
    let output = Output::new(command, json, cli.global.quiet, screen);
    let answer = execute(cli, &output).unwrap_or_else(|error| output.failed(&error));
    ExitCode::from(output.finish(&answer))
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

fn execute(cli: Cli, output: &Output) -> Result<Answer> {
    let Cli { global, command } = cli;
    preflight::check()?;
    let start = |global| Session::start(global, output);
    match command {
        Command::Completions(arguments) => Ok(completions::completions(&arguments)),
        Command::Config(arguments) => config::config(global, &arguments, output),
        Command::Init(arguments) => init::init(global, arguments, output),
        Command::Plugin(arguments) => {
            start(global)?.run(async |session| Box::pin(plugin::plugin(session, arguments)).await)
        }
        Command::Backup(arguments) => match arguments.into_command() {
            Ok(command) => execute(Cli { global, command }, output),
            Err(arguments) => {
                start(global)?.run(async |session| backup::backup(session, *arguments).await)
            }
        },
        Command::Run(arguments) => {
            start(global)?.run(async |session| run::run(session, arguments).await)
        }
        Command::Schedule(arguments) => schedule::schedule(global, arguments, output),
        Command::Auto(arguments) => auto::auto(&global, &arguments, output),
        Command::Daemon(arguments) => daemon::daemon(&global, &arguments),
        Command::Status(arguments) => status::status(&global, &arguments, output),
        Command::History(arguments) => history::history(&global, arguments, output),
        Command::Logs(arguments) => history::logs(&global, &arguments, output),
        Command::Notify(arguments) => notify::notify(&global, &arguments, output),
        Command::Snapshots(arguments) => {
            start(global)?.run(async |session| snapshots::snapshots(session, arguments).await)
        }
        Command::Ls(arguments) => {
            start(global)?.run(async |session| ls::ls(session, arguments).await)
        }
        Command::Restore(arguments) => {
            start(global)?.run(async |session| Box::pin(restore::restore(session, arguments)).await)
        }
        Command::Drill(arguments) => {
            start(global)?.run(async |session| drill::drill(session, arguments).await)
        }
        Command::Dump(arguments) => {
            start(global)?.run(async |session| dump::dump(session, arguments).await)
        }
        Command::Copy(arguments) => {
            start(global)?.run(async |session| copy::copy(session, arguments).await)
        }
        Command::Forget(arguments) => {
            start(global)?.run(async |session| forget::forget(session, arguments).await)
        }
        Command::Prune(arguments) => {
            start(global)?.run(async |session| prune::prune(session, arguments).await)
        }
        Command::Unlock(arguments) => {
            start(global)?.run(async |session| unlock::unlock(session, arguments).await)
        }
        Command::Probe(arguments) => {
            start(global)?.run(async |session| probe::probe(session, &arguments).await)
        }
        Command::Check(arguments) => {
            start(global)?.run(async |session| check::check(session, arguments).await)
        }
    }
}

/// Reads the environment.
fn load_environment(global: &Global) -> Result<Environment> {
    Environment::load(global.env_file.as_deref())
}

/// Reads the environment and the configuration.
fn load_config(global: &Global) -> Result<Config> {
    let config = Config::load(global.config.as_deref(), load_environment(global)?)?;
    let unknown = config.unknown_variables();
    if !unknown.is_empty() {
        tracing::warn!(
            help = "unset them, or say in the configuration what they are to do",
            "these variables are set and have no effect here: {}",
            unknown.join(", ")
        );
    }
    Ok(config)
}

fn start_tokio() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Other, "cannot start threads").caused_by(cause))
}

/// The context of the commands that run plugins.
struct Session<'a> {
    config: Config,
    context: Context,
    screen: Arc<Screen>,
    output: &'a Output,
    tokio: tokio::runtime::Runtime,
}

impl<'a> Session<'a> {
    fn start(global: Global, output: &'a Output) -> Result<Self> {
        let config = load_config(&global)?;
        Self::with_config(global, config, output)
    }

    /// One that makes nothing on this machine: what is not there is done without.
    fn start_looking(mut global: Global, output: &'a Output) -> Result<Self> {
        let config = load_config(&global)?;
        let cache = global
            .cache_dir
            .take()
            .or_else(|| config.cache_directory().ok());
        let cache = cache.filter(|directory| directory.is_dir());
        let runtime = Runtime::new(cache, output.screen().clone())?;
        Self::with_runtime(runtime, config, output)
    }

    fn with_config(global: Global, config: Config, output: &'a Output) -> Result<Self> {
        let new = |cache| Runtime::new(cache, output.screen().clone());
        let runtime = match global.cache_dir {
            Some(named) => new(Some(named))?,
            // Without it, plugins are compiled each time.
            None => match config.cache_directory().and_then(|usual| new(Some(usual))) {
                Ok(runtime) => runtime,
                Err(error) => {
                    let text = format!("nothing is cached: {error:#}");
                    output.warning(&text, error.next_step());
                    new(None)?
                }
            },
        };
        Self::with_runtime(runtime, config, output)
    }

    fn with_runtime(runtime: Runtime, config: Config, output: &'a Output) -> Result<Self> {
        let screen = output.screen().clone();
        screen.start();
        let context = Context {
            runtime,
            events: screen.clone(),
            cancel: CancellationToken::new(),
            journal: Journal::new(&config.state_directory()?),
        };
        Ok(Self {
            config,
            context,
            screen,
            output,
            tokio: start_tokio()?,
        })
    }

    fn run(self, command: impl AsyncFnOnce(&Self) -> Result<Answer>) -> Result<Answer> {
        let result = self.tokio.block_on(async {
            interrupt::listen(&self.context.cancel)?;
            operation::recover(&self.context).await;
            let result = command(&self).await;
            self.context.runtime.wait_for_cleanup().await;
            result
        });
        // The tasks that still run were abandoned.
        self.tokio.shutdown_background();
        result
    }
}
