//! The arguments of all commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

/// Backs up databases and volumes into restic repositories, through sandboxed plugins.
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
    /// The configuration [default: ./tthost.toml, /etc/tthost/tthost.toml, or none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Read environment variables from a .env file; those that are set already win
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) env_file: Option<PathBuf>,
    /// Where compiled plugins are kept [default: ~/.cache/tthost]
    #[arg(long, value_name = "DIR", global = true, env = "TTHOST_CACHE_DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Report as one JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show more of what plugins say; twice for everything
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// Show errors alone
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Back up sources into sinks
    Run(Run),
    /// List snapshots
    #[command(visible_alias = "list")]
    Snapshots(Snapshots),
    /// Restore a snapshot
    Restore(Restore),
    /// Copy snapshots from one sink into another
    Copy(Copy),
    /// Check that a repository is sound
    #[command(visible_alias = "verify")]
    Check(Check),
    /// Remove the snapshots that the retention does not keep, and what only they needed
    Prune(Prune),
    /// Find out what a sink's credentials allow
    Probe(Probe),
    /// Look at plugins
    Plugin(Plugin),
    /// Look at the configuration
    Config(Config),
    /// Write a configuration and create a repository
    Init(Init),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A source to back up; can be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) source: Vec<String>,
    /// A sink to store in; can be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) sink: Vec<String>,
    /// Store in all sinks that are marked as offsite too
    #[arg(long)]
    pub(super) offsite: bool,
    /// Run the sources and sinks of a job
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "sink"])]
    pub(super) job: Option<String>,
    /// A tag of the snapshots; can be given more than once
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// The host that the snapshots bear [default: this machine's name]
    #[arg(long)]
    pub(super) host: Option<String>,
    /// Read and compute everything, store nothing
    #[arg(long = "dry-run")]
    pub(super) rehearse: bool,
    /// Read the files too that have not changed since the snapshot before
    #[arg(long)]
    pub(super) force: bool,
}

/// Where snapshots are, and which of them are meant.
#[derive(Debug, Args)]
pub(super) struct Select {
    /// The sink that has the snapshots
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: String,
    /// Only snapshots of this host; can be given more than once
    #[arg(long)]
    pub(super) host: Vec<String>,
    /// Only snapshots with this tag; can be given more than once
    #[arg(long)]
    pub(super) tag: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Snapshots {
    #[command(flatten)]
    pub(super) select: Select,
    /// Only snapshots of this path; can be given more than once
    #[arg(long)]
    pub(super) path: Vec<String>,
    /// Only the newest so many
    #[arg(long, value_name = "COUNT")]
    pub(super) latest: Option<usize>,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Restore {
    /// The snapshot's id or its first digits, or `latest`; without it, what there is is listed
    pub(super) snapshot: Option<String>,
    #[command(flatten)]
    pub(super) select: Select,
    /// Restore into this directory
    #[arg(long, value_name = "DIR", group = "destination")]
    pub(super) to: Option<PathBuf>,
    /// Write the one file that is restored to standard output
    #[arg(long, group = "destination")]
    pub(super) stdout: bool,
    /// Restore back through this source
    #[arg(long, value_name = "NAME", group = "destination")]
    pub(super) source: Option<String>,
    /// Restore to another place than the one that was backed up: another database, dir:PATH,
    /// volume:NAME
    #[arg(long, value_name = "PLACE", requires = "source")]
    pub(super) target: Option<String>,
    /// Only what is at or below this path of the snapshot; can be given more than once
    #[arg(long)]
    pub(super) path: Vec<String>,
    /// Only what matches this pattern (as in a .gitignore file at the top of the snapshot), and
    /// what is below it; can be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(super) include: Vec<String>,
    /// Not what matches this pattern; can be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(super) exclude: Vec<String>,
    /// Remove what is in the destination and not in the snapshot
    #[arg(long, conflicts_with_all = ["path", "include", "exclude", "stdout"])]
    pub(super) delete: bool,
    /// Read every restored file back and compare it with the snapshot
    #[arg(long, conflicts_with_all = ["stdout", "dry_run"])]
    pub(super) verify: bool,
    /// Do not ask before overwriting
    #[arg(long, short)]
    pub(super) yes: bool,
    /// List what would change, change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// Its id, the beginning of it, or "latest"; without one, all that the other sink lacks
    pub(super) snapshot: Option<String>,
    /// The sink that has the snapshots
    #[arg(long, value_name = "SINK")]
    pub(super) from: String,
    /// The sink that is to have them
    #[arg(long, value_name = "SINK")]
    pub(super) to: String,
    /// Only snapshots of this host; can be given more than once
    #[arg(long)]
    pub(super) host: Vec<String>,
    /// Only snapshots with this tag; can be given more than once
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// Only snapshots of this path; can be given more than once
    #[arg(long)]
    pub(super) path: Vec<String>,
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
    /// A sink to prune; can be given more than once
    #[arg(long, value_name = "NAME", default_value = "restic-local")]
    pub(super) sink: Vec<String>,
    /// Prune all sinks that are marked as offsite too
    #[arg(long)]
    pub(super) offsite: bool,
    /// Only snapshots of this host; can be given more than once
    #[arg(long)]
    pub(super) host: Vec<String>,
    /// Only snapshots with this tag; can be given more than once
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// Only snapshots of this path; can be given more than once
    #[arg(long)]
    pub(super) path: Vec<String>,
    /// List what would be removed, remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) keep: Keep,
}

/// What stays, in the place of the configured retention.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "What stays, of each host and set of paths [default: the configured retention]"
)]
pub(super) struct Keep {
    /// The newest so many
    #[arg(long = "keep-last", value_name = "COUNT")]
    pub(super) last: Option<u32>,
    /// The last of so many hours
    #[arg(long = "keep-hourly", value_name = "COUNT")]
    pub(super) hourly: Option<u32>,
    /// The last of so many days
    #[arg(long = "keep-daily", value_name = "COUNT")]
    pub(super) daily: Option<u32>,
    /// The last of so many weeks
    #[arg(long = "keep-weekly", value_name = "COUNT")]
    pub(super) weekly: Option<u32>,
    /// The last of so many months
    #[arg(long = "keep-monthly", value_name = "COUNT")]
    pub(super) monthly: Option<u32>,
    /// The last of so many years
    #[arg(long = "keep-yearly", value_name = "COUNT")]
    pub(super) yearly: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The sink
    pub(super) sink: String,
}

#[derive(Debug, Args)]
pub(super) struct Plugin {
    #[command(subcommand)]
    pub(super) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the bundled plugins, and the configured uses of plugins
    List,
    /// Print what a plugin is, and what it imports against what it is granted
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
    /// Check the configuration, and that everything it names is there
    Check,
    /// Print the configuration as it applies, defaults included
    Show,
    /// Print the JSON Schema of the configuration
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Create the repository of this sink of the configuration, and nothing else
    #[arg(long, value_name = "NAME", conflicts_with_all = ["repository", "password_file", "offsite"])]
    pub(super) sink: Option<String>,
    /// A repository in S3 besides, s3:HOST/BUCKET/PREFIX [default: `RESTIC_OFFSITE_REPOSITORY`]
    #[arg(long, value_name = "URL")]
    pub(super) offsite: Option<String>,
    /// The directory of the repository [default: `RESTIC_REPOSITORY`]
    #[arg(long, value_name = "DIR")]
    pub(super) repository: Option<PathBuf>,
    /// The file with the repository's password, made when it is missing
    /// [default: tthost.password beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
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
