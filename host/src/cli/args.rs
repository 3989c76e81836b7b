//! The arguments of all commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::FilterRequest;

/// Back up databases, Docker volumes and directories into restic repositories
#[derive(Debug, Parser)]
#[command(name = "tthost", version, arg_required_else_help = true)]
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
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) env_file: Option<PathBuf>,
    /// Keep compiled plugins in this directory [default: ~/.cache/tthost]
    #[arg(long, value_name = "DIR", global = true, env = "TTHOST_CACHE_DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Print one JSON document on standard output
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
    /// Back up sources into sinks
    Run(Run),
    /// List snapshots
    #[command(visible_alias = "list")]
    Snapshots(Snapshots),
    /// List the files of a snapshot
    Ls(Ls),
    /// Restore a snapshot
    Restore(Restore),
    /// Copy snapshots from one sink to another
    Copy(Copy),
    /// Check a repository for damage
    #[command(visible_alias = "verify")]
    Check(Check),
    /// Remove old snapshots and the data that only they needed
    Prune(Prune),
    /// Remove locks that a crashed process left in a repository
    Unlock(Unlock),
    /// Find out what a sink's credentials allow
    Probe(Probe),
    /// List and inspect plugins
    Plugin(Plugin),
    /// Check and print the configuration
    Config(Config),
    /// Write a configuration and create a repository
    Init(Init),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A source to back up; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) source: Vec<String>,
    /// A sink to store in; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) sink: Vec<String>,
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    pub(super) offsite: bool,
    /// Run the sources and sinks of a job
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "sink"])]
    pub(super) job: Option<String>,
    /// A tag for the snapshots; repeatable
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// The host name in the snapshots [default: this machine's name]
    #[arg(long)]
    pub(super) host: Option<String>,
    /// Read everything and store nothing
    #[arg(long = "dry-run")]
    pub(super) rehearse: bool,
    /// Also read files that did not change since the last snapshot
    #[arg(long)]
    pub(super) force: bool,
}

/// A sink, and which of its snapshots.
#[derive(Debug, Args)]
pub(super) struct Select {
    /// The sink that has the snapshots
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: String,
    #[command(flatten)]
    pub(super) filter: Filter,
}

/// Which snapshots.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only snapshots of this host; repeatable
    #[arg(long)]
    pub(super) host: Vec<String>,
    /// Only snapshots with this tag; repeatable
    #[arg(long)]
    pub(super) tag: Vec<String>,
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

#[derive(Debug, Args)]
pub(super) struct Snapshots {
    #[command(flatten)]
    pub(super) select: Select,
    /// Only snapshots of this path; repeatable
    #[arg(long)]
    pub(super) path: Vec<String>,
    /// Only the newest COUNT snapshots
    #[arg(long, value_name = "COUNT")]
    pub(super) latest: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// An id, its first digits, or `latest`
    pub(super) snapshot: String,
    /// A directory or file of the snapshot [default: its top]
    pub(super) path: Option<String>,
    #[command(flatten)]
    pub(super) select: Select,
    /// Also show permissions, owners, sizes and times
    #[arg(long, short)]
    pub(super) long: bool,
    /// Also list what is in the directories below
    #[arg(long)]
    pub(super) recursive: bool,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Restore {
    /// An id, its first digits, or `latest`; without it, tthost lists the snapshots
    pub(super) snapshot: Option<String>,
    #[command(flatten)]
    pub(super) select: Select,
    /// Restore into this directory
    #[arg(long, value_name = "DIR", group = "destination")]
    pub(super) to: Option<PathBuf>,
    /// Write the one selected file to standard output
    #[arg(long, group = "destination")]
    pub(super) stdout: bool,
    /// Restore through this source, to where the data came from
    #[arg(long, value_name = "NAME", group = "destination")]
    pub(super) source: Option<String>,
    /// Restore to another target: a database, dir:PATH or volume:NAME
    #[arg(long, value_name = "TARGET", requires = "source")]
    pub(super) target: Option<String>,
    /// Only files at or below this path of the snapshot; repeatable
    #[arg(long)]
    pub(super) path: Vec<String>,
    /// Only files that match this pattern, and everything below a directory that matches;
    /// repeatable. Patterns work as in a .gitignore file at the top of the snapshot
    #[arg(long, value_name = "PATTERN")]
    pub(super) include: Vec<String>,
    /// Leave out files that match this pattern; repeatable
    #[arg(long, value_name = "PATTERN")]
    pub(super) exclude: Vec<String>,
    /// Remove files that are not in the snapshot
    #[arg(long, conflicts_with_all = ["path", "include", "exclude", "stdout"])]
    pub(super) delete: bool,
    /// Read every restored file back and compare it with the snapshot
    #[arg(long, conflicts_with_all = ["stdout", "dry_run"])]
    pub(super) verify: bool,
    /// Do not ask before overwriting
    #[arg(long, short)]
    pub(super) yes: bool,
    /// List the changes without making them
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// An id, its first digits, or `latest`; without it, all snapshots that the other sink lacks
    pub(super) snapshot: Option<String>,
    /// Copy from this sink
    #[arg(long, value_name = "SINK")]
    pub(super) from: String,
    /// Copy to this sink
    #[arg(long, value_name = "SINK")]
    pub(super) to: String,
    #[command(flatten)]
    pub(super) filter: PathFilter,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The sink to check
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: String,
    /// Also read every byte back
    #[arg(long)]
    pub(super) read_data: bool,
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// A sink to prune; repeatable
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: Vec<String>,
    /// Also prune every sink that has `offsite = true`
    #[arg(long)]
    pub(super) offsite: bool,
    #[command(flatten)]
    pub(super) filter: PathFilter,
    /// List the snapshots that would go, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) keep: Keep,
}

/// A retention policy in place of the configured one.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Retention policy, for each host and set of paths [default: the configured one]"
)]
pub(super) struct Keep {
    /// Keep the newest COUNT snapshots
    #[arg(long = "keep-last", value_name = "COUNT")]
    pub(super) last: Option<u32>,
    /// Keep the last snapshot of each of COUNT hours
    #[arg(long = "keep-hourly", value_name = "COUNT")]
    pub(super) hourly: Option<u32>,
    /// Keep the last snapshot of each of COUNT days
    #[arg(long = "keep-daily", value_name = "COUNT")]
    pub(super) daily: Option<u32>,
    /// Keep the last snapshot of each of COUNT weeks
    #[arg(long = "keep-weekly", value_name = "COUNT")]
    pub(super) weekly: Option<u32>,
    /// Keep the last snapshot of each of COUNT months
    #[arg(long = "keep-monthly", value_name = "COUNT")]
    pub(super) monthly: Option<u32>,
    /// Keep the last snapshot of each of COUNT years
    #[arg(long = "keep-yearly", value_name = "COUNT")]
    pub(super) yearly: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Unlock {
    /// The sink whose repository is locked
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: String,
    /// Remove every lock, also those of processes that may still be running
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The sink whose credentials to test
    pub(super) sink: String,
}

#[derive(Debug, Args)]
pub(super) struct Plugin {
    #[command(subcommand)]
    pub(super) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the bundled plugins, and the configured sources and sinks
    List,
    /// Print what a plugin needs and imports, what it is granted, and the schema of its settings
    Inspect {
        /// A source, a sink, a bundled plugin, or a file
        plugin: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
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

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Only create the repository of this sink, which the configuration has
    #[arg(long, value_name = "NAME", conflicts_with_all = ["repository", "password_file", "offsite"])]
    pub(super) sink: Option<String>,
    /// Also create a repository in S3, s3:HOST/BUCKET/PREFIX
    /// [default: `RESTIC_OFFSITE_REPOSITORY`]
    #[arg(long, value_name = "URL")]
    pub(super) offsite: Option<String>,
    /// The directory of the repository [default: `RESTIC_REPOSITORY`]
    #[arg(long, value_name = "DIR")]
    pub(super) repository: Option<PathBuf>,
    /// The file with the password; tthost creates it if it is missing
    /// [default: tthost.password beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to complete for
    pub(super) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
