//! Resolves the arguments of `backup`: jobs and directories.

use std::path::Path;

use vec1::Vec1;

use super::{RunRequest, Work};
use crate::config::{Config, builtin, unknown};
use crate::error::{Error, Kind, Result};
use crate::plugin::Role;

/// The job to run by default.
const DEFAULT_JOB: &str = "full";

/// Words that mean a job of another name, where there is no job of their own.
const SYNONYMS: [(&str, &str); 1] = [("database", "db")];

/// Commands that are known as words behind `backup`, where no option is in front of them.
const COMMANDS: [&str; 3] = ["list", "prune", "verify"];

/// A request for a backup.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// Names of jobs, and directories; empty for the job that everybody means.
    pub words: Vec<String>,
    /// Where directories are stored. Jobs name their own sinks.
    pub sinks: Vec<String>,
    /// Store in all sinks that are marked as offsite too.
    pub offsite: bool,
    /// Tags of the snapshots, besides those of a job.
    pub tags: Vec<String>,
    /// The host that the snapshots bear, in the place of a job's.
    pub hostname: Option<String>,
    /// Read and compute everything, store nothing.
    pub dry_run: bool,
    /// Read the files too that have not changed since the snapshot before.
    pub force: bool,
}

/// The meaning of a word.
enum Meaning {
    /// The job of this name.
    Job(String),
    /// The source that reads a directory.
    Directory(String),
}

impl Config {
    /// The runs that a backup comes to: one for each job, and one for all directories.
    pub fn plan_backup(&self, request: BackupRequest) -> Result<Vec1<RunRequest>> {
        let mut jobs = Vec::new();
        let mut sources = Vec::new();
        if request.words.is_empty() {
            jobs.push(Work::Job(self.default_job()?.to_owned()));
        }
        for word in &request.words {
            match self.meaning(word)? {
                Meaning::Job(name) => jobs.push(Work::Job(name)),
                Meaning::Directory(source) => sources.push(source),
            }
        }
        if !jobs.is_empty() && !request.sinks.is_empty() {
            let error = Error::new(Kind::Config, "a job names its own sinks");
            return Err(error.help(
                "leave --sink out, or run its sources with `tthost run --source NAME --sink NAME`",
            ));
        }
        let sinks = if request.sinks.is_empty() {
            vec![builtin::SINK.to_owned()]
        } else {
            request.sinks
        };
        let directories = (!sources.is_empty()).then_some(Work::Named { sources, sinks });
        let runs = jobs.into_iter().chain(directories).map(|work| RunRequest {
            work,
            offsite: request.offsite,
            tags: request.tags.clone(),
            hostname: request.hostname.clone(),
            dry_run: request.dry_run,
            force: request.force,
        });
        Ok(Vec1::try_from_vec(runs.collect()).expect("no word means the default job"))
    }

    /// The job that is meant without a word: `full`, or the only one.
    fn default_job(&self) -> Result<&str> {
        let names: Vec<_> = self.file.jobs.keys().map(String::as_str).collect();
        match names[..] {
            _ if names.contains(&DEFAULT_JOB) => Ok(DEFAULT_JOB),
            [only] => Ok(only),
            [] => Err(Error::new(Kind::Config, "there is no job to run").help(
                "name a directory, add [jobs.full] to the configuration, or use `tthost run --source NAME --sink NAME`",
            )),
            _ => Err(Error::new(Kind::Config, "several jobs are configured, and none is called full")
                .help(format!("name one: {}", names.join(", ")))),
        }
    }

    /// Resolves a word to a job or a directory. A job has priority over a directory of the same name.
    fn meaning(&self, word: &str) -> Result<Meaning> {
        let jobs = &self.file.jobs;
        if jobs.contains_key(word) {
            return Ok(Meaning::Job(word.to_owned()));
        }
        let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == word);
        if let Some((_, name)) = synonym
            && jobs.contains_key(*name)
        {
            return Ok(Meaning::Job((*name).to_owned()));
        }
        let path = Path::new(word);
        if path.is_dir() {
            return directory(word);
        }
        if path.exists() {
            let text = format!("{word} is a file, and a source of files is a directory");
            return Err(Error::new(Kind::Config, text)
                .help("name its directory, and select files with a source of the configuration"));
        }
        if word.contains('/') {
            let text = format!("there is no directory {word}");
            return Err(Error::new(Kind::NotFound, text));
        }
        if self.names(Role::Source).contains(&word) {
            let text = format!("{word} is a source, and no job");
            return Err(Error::new(Kind::Config, text).help(format!(
                "`tthost run --source {word} --sink {}` backs it up",
                builtin::SINK
            )));
        }
        if COMMANDS.contains(&word) {
            let text = format!("options of `backup {word}` come behind the word");
            let help = format!("write `tthost backup {word} OPTIONS`");
            return Err(Error::new(Kind::Config, text).help(help));
        }
        let names: Vec<_> = jobs.keys().map(String::as_str).collect();
        Err(unknown("job", word, &names))
    }
}

/// The source that reads this directory, called by its absolute path so that it has the same name from
/// everywhere.
fn directory(word: &str) -> Result<Meaning> {
    let unusable = || Error::new(Kind::Config, format!("{word} cannot be named from here"));
    let path = std::path::absolute(word).map_err(|cause| unusable().caused_by(cause))?;
    let path = match path.to_str().ok_or_else(unusable)?.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    Ok(Meaning::Directory(format!("dir:{path}")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn request(words: &[&str]) -> BackupRequest {
        BackupRequest {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            sinks: Vec::new(),
            offsite: false,
            tags: Vec::new(),
            hostname: None,
            dry_run: false,
            force: false,
        }
    }

    /// A configuration with these jobs.
    fn with(jobs: &[&str]) -> Config {
        let mut text = "sinks.restic-local.plugin = 'restic-sink'\n".to_owned();
        for job in jobs {
            text += &[
                "jobs.",
                job,
                " = { sources = ['postgres'], sinks = ['restic-local'] }\n",
            ]
            .concat();
        }
        Config::parse(&text, None, crate::config::Environment::default()).expect("it is fine")
    }

    fn sources(config: &Config, words: &[&str]) -> Result<Vec<String>> {
        let runs = config.plan_backup(request(words))?;
        let plans: Result<Vec<_>> = runs.into_iter().map(|run| config.plan_run(run)).collect();
        let plans = plans?;
        let sources = plans.iter().flat_map(|plan| &plan.sources);
        Ok(sources.map(|source| source.spec.name.clone()).collect())
    }

    #[test]
    fn without_a_word_the_full_or_the_only_job_is_run() {
        assert_eq!(
            with(&["a", "full"]).default_job().expect("it is there"),
            "full"
        );
        assert_eq!(
            with(&["nightly"])
                .default_job()
                .expect("it is the only one"),
            "nightly"
        );
        let error = with(&["b", "a"])
            .default_job()
            .expect_err("nobody knows which");
        assert_eq!(error.next_step(), Some("name one: a, b"));
        with(&[]).default_job().expect_err("there is none");
    }

    #[test]
    fn a_word_is_a_job_or_a_directory_and_else_an_error_says_what_there_is() {
        let config = sample();
        assert_eq!(
            sources(&config, &["nightly"]).expect("it is a job"),
            ["db", "files"]
        );
        let error = sources(&config, &["weekly"]).expect_err("it is nothing");
        assert_eq!(error.message(), "there is no job weekly");
        assert_eq!(error.next_step(), Some("there are: nightly"));
        let error = sources(&config, &["db"]).expect_err("it is a source");
        assert_eq!(error.message(), "db is a source, and no job");
        let error = sources(&config, &["./nowhere"]).expect_err("it is nowhere");
        assert_eq!(error.message(), "there is no directory ./nowhere");
        let here = std::env::current_dir().expect("it is somewhere");
        let directory = with(&["db", "src"]).meaning("./src");
        let Ok(Meaning::Directory(name)) = directory else {
            panic!("it is a directory")
        };
        assert_eq!(name, format!("dir:{}/src", here.display()));
        assert!(matches!(with(&["src"]).meaning("src"), Ok(Meaning::Job(_))));
        assert!(
            matches!(with(&["db"]).meaning("database"), Ok(Meaning::Job(name)) if name == "db")
        );
    }

    #[test]
    fn a_job_takes_no_other_sinks() {
        let mut wanted = request(&["nightly"]);
        wanted.sinks = vec!["remote".into()];
        let error = sample().plan_backup(wanted).expect_err("it has its own");
        assert_eq!(error.message(), "a job names its own sinks");
    }
}
