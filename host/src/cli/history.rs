//! `tthost history` and `tthost logs`.

use std::fmt::Write as _;

use clap::Args;

use super::args::Global;
use super::format::{seconds, time};
use super::load_config;
use super::output::{Answer, Output};
use super::table::table;
use crate::error::{Error, Kind, Result};
use crate::history::{self, Filter, Listed, Log, Part, Run, State};

#[derive(Debug, Args)]
pub(super) struct History {
    /// Only runs of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only runs with this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only runs with this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only the newest COUNT runs
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The number of a run, or `latest`
    #[arg(default_value = "latest")]
    run: String,
}

/// Lists the runs of this machine.
pub(super) fn history(global: &Global, arguments: History, output: &Output) -> Result<Answer> {
    let filter = Filter {
        job: arguments.job,
        source: arguments.source,
        sink: arguments.sink,
    };
    let listed = match open(global)? {
        Some(history) => Listed {
            runs: history.runs(&filter, arguments.limit)?,
            other_configurations: history.other_configurations()?,
        },
        None => Listed {
            runs: Vec::new(),
            other_configurations: Vec::new(),
        },
    };
    output.answer(&listed, || {
        show(&listed.runs) + &elsewhere(&listed.other_configurations)
    })
}

/// Shows what a run said.
pub(super) fn logs(global: &Global, arguments: &Logs, output: &Output) -> Result<Answer> {
    let run = match arguments.run.as_str() {
        "latest" => None,
        number => Some(number.parse().map_err(|_| {
            let text = format!("{number} is not the number of a run");
            Error::new(Kind::Usage, text).help("`tthost history` lists all runs")
        })?),
    };
    let history = open(global)?.ok_or_else(|| {
        Error::new(Kind::NotFound, "there is no run yet").help("`tthost run` backs something up")
    })?;
    let log = history.log(run)?;
    output.answer(&log, || show_log(&log))
}

fn open(global: &Global) -> Result<Option<history::History>> {
    let config = load_config(global)?;
    history::History::find(&config.state_directory()?, &config.as_recorded())
}

/// Whose runs are in the same state directory and not looked at.
pub(super) fn elsewhere(configurations: &[String]) -> String {
    let name = |name: &String| match name.as_str() {
        "" => "the environment without a file".to_owned(),
        file => file.to_owned(),
    };
    let names: Vec<_> = configurations.iter().map(name).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            "\nruns with another configuration do not count here: {}\n",
            names.join(", ")
        ),
    }
}

fn show(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "no run matches\n".to_owned();
    }
    let mut rows = vec![
        ["RUN", "BEGAN", "TOOK", "COMMAND", "JOB", "STATE", "PARTS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(runs.iter().map(|run| {
        vec![
            run.id.unwrap_or_default().to_string(),
            time(run.started),
            duration(run),
            run.command.clone(),
            run.job.clone().unwrap_or_else(|| "-".to_owned()),
            run.state.word().to_owned(),
            parts(&run.parts),
        ]
    }));
    table(&rows)
}

fn duration(run: &Run) -> String {
    let duration = run.ended.map(|ended| ended.duration_since(run.started));
    duration
        .and_then(|duration| duration.try_into().ok())
        .map_or("-".to_owned(), seconds)
}

/// The error, or the number of successful parts.
fn parts(parts: &[Part]) -> String {
    let bad = parts.iter().filter(|part| part.state != State::Ok);
    let bad: Vec<_> = bad
        .map(|part| format!("{} {}", part.key, part.state.word()))
        .collect();
    match (bad.as_slice(), parts) {
        ([], [part]) => part.key.to_string(),
        ([], parts) => format!("{} parts", parts.len()),
        (bad, _) => bad.join("; "),
    }
}

fn show_log(log: &Log) -> String {
    let run = &log.run;
    let mut text = show(std::slice::from_ref(run));
    text.push('\n');
    for line in &log.lines {
        let _ = writeln!(text, "{}  {}", time(line.time), line.message);
    }
    if let Some(error) = &run.error {
        let _ = writeln!(text, "error: {error}");
        if let Some(help) = &error.help {
            let _ = writeln!(text, "  help: {help}");
        }
    }
    if log.lines.is_empty() && run.error.is_none() {
        text += "it said nothing\n";
    }
    text
}
