//! `tthost backup`: `run` with the name of a job or a directory.

use clap::{Args, Subcommand};

use super::args::Command;
use super::output::Answer;
use super::{Session, auto, check, prune, run, snapshots};
use crate::config::BackupRequest;
use crate::error::Result;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct Backup {
    /// Jobs of the configuration, and directories [default: the job `full`, else the only job]
    #[arg(value_name = "JOB|DIR")]
    words: Vec<String>,
    /// A sink to store directories in; repeatable [default: restic-local]
    #[arg(long, value_name = "NAME")]
    sink: Vec<String>,
    #[command(flatten)]
    options: run::RunOptions,
    #[command(subcommand)]
    word: Option<Word>,
}

/// Commands that are known as words behind `backup`.
#[derive(Debug, Subcommand)]
enum Word {
    /// List snapshots, as `tthost snapshots`
    List(snapshots::Snapshots),
    /// Remove old snapshots, as `tthost prune`
    Prune(prune::Prune),
    /// Check a repository for damage, as `tthost check`
    Verify(check::Check),
    /// Back up every night, as `tthost auto`
    Auto(auto::Auto),
}

impl Backup {
    /// The command that a word stands for, or the backup that was asked for without one.
    pub(super) fn into_command(mut self) -> Result<Command, Box<Self>> {
        Ok(match self.word.take() {
            Some(Word::List(arguments)) => Command::Snapshots(arguments),
            Some(Word::Prune(arguments)) => Command::Prune(arguments),
            Some(Word::Verify(arguments)) => Command::Check(arguments),
            Some(Word::Auto(arguments)) => Command::Auto(arguments),
            None => return Err(Box::new(self)),
        })
    }
}

/// Backs up jobs and directories.
pub(super) async fn backup(session: &Session<'_>, arguments: Backup) -> Result<Answer> {
    let options = arguments.options;
    let runs = session.config.plan_backup(BackupRequest {
        words: arguments.words,
        sinks: arguments.sink,
        offsite: options.offsite,
        tags: options.tag,
        hostname: options.host,
        dry_run: options.dry_run,
        force: options.force,
    })?;
    run::run_all(session, runs).await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::Cli;
    use super::*;

    fn parse(line: &str) -> Result<Backup, clap::Error> {
        let words = ["tthost", "backup"].into_iter();
        match Cli::try_parse_from(words.chain(line.split_whitespace()))?.command {
            Command::Backup(arguments) => Ok(arguments),
            other => panic!("{other:?} is another command"),
        }
    }

    #[test]
    fn the_words_behind_backup_are_jobs_directories_or_commands() {
        let jobs = parse("db /srv/www --offsite").expect("it is fine");
        assert_eq!(jobs.words, ["db", "/srv/www"]);
        assert!(jobs.options.offsite && jobs.word.is_none());
        assert!(parse("").expect("it is fine").words.is_empty());
        let list = parse("list --offsite").expect("it is fine");
        assert!(matches!(list.word, Some(Word::List(_))));
        let verify = parse("verify").expect("it is fine");
        assert!(matches!(verify.word, Some(Word::Verify(_))));
        let prune = parse("prune --dry-run").expect("it is fine");
        assert!(matches!(prune.word, Some(Word::Prune(_))));
        let auto = parse("auto --disable").expect("it is fine");
        assert!(matches!(auto.into_command(), Ok(Command::Auto(_))));
    }
}
