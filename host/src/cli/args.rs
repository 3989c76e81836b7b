//! The commands, and the arguments that several of them share. Arguments of a single command are in its own file.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum,
};

use super::{
    auto, backup, check, completions, config, copy, daemon, drill, dump, forget, history, init, ls,
    notify, plugin, probe, prune, restore, run, schedule, snapshots, status, unlock,
};
use crate::config::{FilterRequest, SinkRequest};
use crate::plugin::spoken;
use crate::snapshot::TagSet;

/// The additional lines of `--version`.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{}\ncontract: tthost:backup {}",
        env!("CARGO_PKG_VERSION"),
        spoken().shown()
    )
});

/// Back up databases, Docker volumes and directories into restic repositories
#[derive(Debug, Parser)]
#[command(name = "tthost", version, long_version = VERSION.as_str(), arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Read this configuration
    /// [default: the file in `TTHOST_CONFIG`, else ./tthost.toml, else /etc/tthost/tthost.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Read environment variables from a .env file; variables that are already set win
    /// [default: `TTHOST_ENV_FILE`, else `env-file` of the configuration]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) env_file: Option<PathBuf>,
    /// Keep compiled plugins in this directory
    /// [default: `TTHOST_CACHE_DIR`, else /var/cache/tthost for root and ~/.cache/tthost for others]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) cache_dir: Option<PathBuf>,
    /// Print one JSON document on standard output, also for an error
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show more messages of plugins; give it twice to show all
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// Show errors only
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Write messages to standard error in this format; json is one object a line
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub(super) log_format: LogFormat,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Back up jobs and directories
    Backup(backup::Backup),
    /// Back up sources into sinks
    Run(run::Run),
    /// Back up on time
    Schedule(schedule::Schedule),
    /// Back up every night: `schedule install`, as the shell script had it
    Auto(auto::Auto),
    /// Run jobs on time, without systemd or cron
    Daemon(daemon::Daemon),
    /// Show how each source stands in each sink
    Status(status::Status),
    /// List the runs of this machine
    History(history::History),
    /// Show what a run said
    Logs(history::Logs),
    /// Try alerts
    Notify(notify::Notify),
    /// List snapshots
    #[command(visible_alias = "list")]
    Snapshots(snapshots::Snapshots),
    /// List the files of a snapshot
    Ls(ls::Ls),
    /// Restore a snapshot
    Restore(restore::Restore),
    /// Restore the newest snapshots for trial, and keep nothing of it
    Drill(drill::Drill),
    /// Write a file of a snapshot, or a directory as a tar archive, to standard output
    Dump(dump::Dump),
    /// Copy snapshots from one sink to another
    Copy(copy::Copy),
    /// Check a repository for damage
    #[command(visible_alias = "verify")]
    Check(check::Check),
    /// Remove snapshots, and leave the data that only they needed
    Forget(forget::Forget),
    /// Remove old snapshots and the data that only they needed
    Prune(prune::Prune),
    /// Remove locks that a crashed process left in a repository
    Unlock(unlock::Unlock),
    /// Find out what a sink's credentials allow
    Probe(probe::Probe),
    /// List, inspect, add, exchange, test and publish plugins
    Plugin(plugin::Plugin),
    /// Check and print the configuration
    Config(config::Config),
    /// Write a configuration and create a repository
    Init(init::Init),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Parses the command line. Returns the command and its full name, for example `plugin list`.
pub(super) fn parse() -> Result<(Cli, String), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut words = Vec::new();
    let mut inner = &matches;
    while let Some((word, below)) = inner.subcommand() {
        words.push(word);
        inner = below;
    }
    refuse_empty(inner).map_err(|error| error.format(&mut command))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, words.join(" ")))
}

/// The arguments that may be empty, and what they mean then.
const MAY_BE_EMPTY: [&str; 1] = [
    // One group of all snapshots, as in restic.
    "group_by",
];

/// Refuses empty words: whoever writes `"$ID"` of a variable that is not set does not mean every snapshot.
fn refuse_empty(matches: &ArgMatches) -> Result<(), clap::Error> {
    for id in matches.ids().map(clap::Id::as_str) {
        let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
        if !is_given || MAY_BE_EMPTY.contains(&id) {
            continue;
        }
        // Groups of arguments have no values of their own.
        let values = matches.try_get_raw(id).ok().flatten();
        if values.is_some_and(|mut values| values.any(OsStr::is_empty)) {
            let name = id.replace('_', "-");
            let text = format!(
                "an empty word is given for {name}\n\n  tip: is a variable empty that it comes from?\n"
            );
            return Err(clap::Error::raw(ErrorKind::InvalidValue, text));
        }
    }
    Ok(())
}

impl Command {
    /// Whether standard output carries something else than an answer.
    pub(super) fn writes_data(&self) -> bool {
        match self {
            Self::Dump(_) => true,
            Self::Restore(restore) => restore.to_stdout(),
            _ => false,
        }
    }
}

/// A sink.
#[derive(Clone, Debug, Args)]
pub(super) struct OneSink {
    /// The sink [default: restic-local]
    #[arg(long, value_name = "NAME", conflicts_with = "offsite")]
    sink: Option<String>,
    /// The sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
}

/// A sink, and which of its snapshots.
#[derive(Debug, Args)]
pub(super) struct Select {
    #[command(flatten)]
    pub(super) sink: OneSink,
    #[command(flatten)]
    pub(super) filter: Filter,
}

/// Which snapshots.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Only snapshots of this host; repeatable
    #[arg(long)]
    pub(super) host: Vec<String>,
    /// Only snapshots with all of these tags, with commas between them; repeatable, and one set is enough
    #[arg(long, value_name = "TAGS")]
    pub(super) tag: Vec<TagSet>,
}

/// Which snapshots, also by path.
#[derive(Debug, Args)]
pub(super) struct PathFilter {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Only snapshots of this path; repeatable
    #[arg(long)]
    pub(super) path: Vec<String>,
}

impl From<OneSink> for SinkRequest {
    fn from(choice: OneSink) -> Self {
        match choice.sink {
            _ if choice.offsite => Self::Offsite,
            Some(name) => Self::Named(name),
            None => Self::default(),
        }
    }
}

impl OneSink {
    /// The same choice as somebody types it, behind a command.
    pub(super) fn typed(&self) -> String {
        match &self.sink {
            _ if self.offsite => " --offsite".into(),
            Some(name) => format!(" --sink {name}"),
            None => String::new(),
        }
    }
}

impl From<Filter> for FilterRequest {
    fn from(filter: Filter) -> Self {
        Self {
            hosts: filter.host,
            tags: filter.tag,
            paths: Vec::new(),
        }
    }
}

impl From<PathFilter> for FilterRequest {
    fn from(PathFilter { filter, path }: PathFilter) -> Self {
        Self {
            paths: path,
            ..filter.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
