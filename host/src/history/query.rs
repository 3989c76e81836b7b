//! Queries of the history.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::History;
use super::alive;
use super::record::{Activity, Part, PartKey, Run, State};
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::operation::Report;

/// A message of a run, as it was printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    /// The time of the message.
    #[serde(serialize_with = "json::time")]
    pub time: Timestamp,
    /// The message.
    pub message: String,
}

/// A filter for runs.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this job.
    pub job: Option<String>,
    /// Only with this source.
    pub source: Option<String>,
    /// Only with this sink.
    pub sink: Option<String>,
}

/// Runs, the newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Listed {
    /// The runs.
    pub runs: Vec<Run>,
    /// Other configurations that share the state directory, by their files; their runs are not listed. Empty text stands for
    /// the environment without a file.
    pub other_configurations: Vec<String>,
}

/// A run with its messages.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Log {
    /// The run.
    pub run: Run,
    /// Its messages.
    pub lines: Vec<Line>,
}

impl Report for Listed {}

impl Report for Log {}

impl History {
    /// When the history of this configuration began.
    pub fn began(&self) -> Result<Timestamp> {
        let began = self.connection.query_row(
            "SELECT min(began) FROM origin WHERE config IN (SELECT config FROM own)",
            [],
            |row| time(row, 0),
        );
        self.explain(began)
    }

    /// The other configurations whose runs are recorded here, by their files; an empty name is that of the environment alone.
    pub fn other_configurations(&self) -> Result<Vec<String>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT DISTINCT config FROM runs
                 WHERE config NOT IN (SELECT config FROM own) ORDER BY config",
            )?;
            let found = asked.query_map([], |row| row.get(0))?;
            found.collect()
        };
        self.explain(found())
    }

    /// The newest runs.
    pub fn runs(&self, filter: &Filter, limit: u32) -> Result<Vec<Run>> {
        let runs = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM own_runs
                 WHERE (?1 IS NULL OR job = ?1)
                   AND (?2 IS NULL OR EXISTS (SELECT 1 FROM parts WHERE run = id AND source = ?2))
                   AND (?3 IS NULL OR EXISTS (SELECT 1 FROM parts WHERE run = id AND sink = ?3))
                 ORDER BY id DESC LIMIT ?4",
            )?;
            let found = asked.query_map(
                params![filter.job, filter.source, filter.sink, limit],
                |row| self.run_of(row),
            )?;
            found
                .map(|run| run.and_then(|run| self.with_parts(run)))
                .collect()
        };
        self.explain(runs())
    }

    /// The run with this number, or the newest one.
    pub fn log(&self, run: Option<i64>) -> Result<Log> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM own_runs
                 WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC LIMIT 1",
            )?;
            let run = asked.query_row([run], |row| self.run_of(row)).optional()?;
            run.map(|run| self.with_parts(run)).transpose()
        };
        let run = self.explain(found())?.ok_or_else(|| {
            let text = match run {
                Some(run) => format!("there is no run {run}"),
                None => "there is no run yet".to_owned(),
            };
            Error::new(Kind::NotFound, text).help("`tthost history` lists all runs")
        })?;
        let lines = || {
            let mut asked = self
                .connection
                .prepare("SELECT time, text FROM lines WHERE run = ?1 ORDER BY rowid")?;
            let line = |row: &Row<'_>| {
                Ok(Line {
                    time: time(row, 0)?,
                    message: row.get(1)?,
                })
            };
            let lines = asked.query_map([run.id], line)?;
            lines.collect()
        };
        let lines = self.explain(lines())?;
        Ok(Log { run, lines })
    }

    /// Dead runs that were not reported.
    pub fn deaths(&self) -> Result<Vec<Run>> {
        let deaths = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM own_runs
                 WHERE verdict IS NULL AND death_told = 0 ORDER BY id",
            )?;
            let found = asked.query_map([], |row| self.run_of(row))?;
            let mut runs = found
                .map(|run| run.and_then(|run| self.with_parts(run)))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            runs.retain(|run| run.state == State::Died);
            Ok(runs)
        };
        self.explain(deaths())
    }

    /// The sources and sinks that were backed up, each with the job of its last run.
    pub(super) fn backed_up(&self) -> Result<Vec<(String, String, Option<String>)>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT source, sink, job FROM own_runs JOIN (
                     SELECT source, sink, max(run) AS last FROM parts JOIN own_runs ON id = run
                     WHERE activity = 'backup' AND source IS NOT NULL AND sink IS NOT NULL
                     GROUP BY source, sink
                 ) ON id = last",
            )?;
            let found = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            found.collect()
        };
        self.explain(found())
    }

    /// The newest parts that are about a thing, each with its run's number, and when it ended or began.
    pub(super) fn newest(
        &self,
        key: &PartKey,
        only_successes: bool,
        limit: u32,
    ) -> Result<Vec<(i64, Timestamp, Part)>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT run, coalesce(ended, started), activity, source, sink, state, detail
                 FROM parts JOIN own_runs ON id = run
                 WHERE activity = ?1 AND (?2 IS NULL OR source = ?2) AND sink IS ?3
                   AND (NOT ?4 OR state IN ('ok', 'incomplete'))
                 ORDER BY run DESC LIMIT ?5",
            )?;
            let found = asked.query_map(
                params![
                    key.activity.word(),
                    key.source,
                    key.sink,
                    only_successes,
                    limit
                ],
                |row| {
                    let run = row.get(0)?;
                    Ok((run, time(row, 1)?, self.part_of(run, row, 2)?))
                },
            )?;
            found.collect()
        };
        self.explain(found())
    }

    /// The last success of a part.
    pub fn last_success(&self, key: &PartKey) -> Result<Option<Timestamp>> {
        let newest = self.newest(key, true, 1)?;
        Ok(newest.first().map(|(_, time, _)| *time))
    }

    /// A run from a row of its columns, without its parts.
    fn run_of(&self, row: &Row<'_>) -> rusqlite::Result<Run> {
        let id = row.get(0)?;
        let ended: Option<i64> = row.get(4)?;
        let verdict: Option<String> = row.get(5)?;
        let error: Option<String> = row.get(7)?;
        Ok(Run {
            id: Some(id),
            command: row.get(1)?,
            job: row.get(2)?,
            started: time(row, 3)?,
            ended: ended.map(|_| time(row, 4)).transpose()?,
            state: self.state(id, verdict.as_deref()),
            exit_code: row.get(6)?,
            error: error.and_then(|error| serde_json::from_str(&error).ok()),
            parts: Vec::new(),
        })
    }

    fn with_parts(&self, mut run: Run) -> rusqlite::Result<Run> {
        let mut asked = self.connection.prepare(
            "SELECT activity, source, sink, state, detail FROM parts WHERE run = ?1 ORDER BY rowid",
        )?;
        let id = run.id.unwrap_or_default();
        let parts = asked.query_map([id], |row| self.part_of(id, row, 0))?;
        run.parts = parts.collect::<rusqlite::Result<_>>()?;
        Ok(run)
    }

    /// A part from the columns that begin at `first`.
    fn part_of(&self, run: i64, row: &Row<'_>, first: usize) -> rusqlite::Result<Part> {
        let state: Option<String> = row.get(first + 3)?;
        let detail: String = row.get(first + 4)?;
        Ok(Part {
            key: PartKey {
                activity: activity(row, first)?,
                source: row.get(first + 1)?,
                sink: row.get(first + 2)?,
            },
            state: self.state(run, state.as_deref()),
            detail: serde_json::from_str(&detail).unwrap_or_default(),
        })
    }

    /// How a run or a part of it stands that ended in this way, or did not.
    fn state(&self, run: i64, ended: Option<&str>) -> State {
        match ended.and_then(State::ended) {
            Some(state) => state,
            None if alive::is_alive(&self.state, run) => State::Running,
            None => State::Died,
        }
    }
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let milliseconds = row.get(column)?;
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, milliseconds))
}

pub(super) fn activity(row: &Row<'_>, column: usize) -> rusqlite::Result<Activity> {
    let word: String = row.get(column)?;
    Activity::named(&word).ok_or_else(|| {
        let what = format!("{word} is not an activity");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
    })
}
