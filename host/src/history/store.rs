//! What is written into the history, and what is asked of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::alive::{self, Sign};
use super::database::{self, FILE};
use super::record::{Activity, Part, Run, State, Subject, Thing};
use super::status::Delivery;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::operation::Report;

/// Runs older than that are forgotten, except for the last success of each thing.
const KEPT: Duration = Duration::from_hours(400 * 24);

/// Their messages are forgotten sooner.
const LINES_KEPT: Duration = Duration::from_hours(60 * 24);

/// What this machine remembers of its runs.
#[derive(Debug)]
pub struct History {
    state: PathBuf,
    connection: Connection,
}

/// A run that goes on.
#[derive(Debug)]
pub struct Ticket {
    /// Its number.
    pub run: i64,
    sign: Sign,
}

/// A message of a run, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    /// When it came.
    #[serde(serialize_with = "json::time")]
    pub time: Timestamp,
    /// The message.
    pub message: String,
}

/// Which runs are listed.
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
}

/// A run with what it said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Log {
    /// The run.
    pub run: Run,
    /// Its messages.
    pub lines: Vec<Line>,
}

impl Report for Listed {}

impl Report for Log {}

/// Something that was told and is not over yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// What is wrong.
    pub kind: TroubleKind,
    /// With what.
    pub thing: Thing,
}

/// What is wrong with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// The last attempt failed.
    Failed,
    /// The last success is too long ago.
    Stale,
}

impl TroubleKind {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

impl History {
    /// The history in this state directory, which is made when it is missing.
    pub fn open(state: &Path) -> Result<Self> {
        Ok(Self {
            state: state.to_owned(),
            connection: database::open(state)?,
        })
    }

    /// The history in this state directory, if there is one.
    pub fn find(state: &Path) -> Result<Option<Self>> {
        let is_there = state.join(FILE).try_exists();
        if is_there.map_err(|cause| unusable(state).caused_by(cause))? {
            Self::open(state).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Records that a run begins.
    pub fn begin(&mut self, subject: &Subject, now: Timestamp) -> Result<Ticket> {
        let state = self.state.clone();
        let transaction = self.write()?;
        let begin = |transaction: &Transaction<'_>| {
            transaction.execute(
                "INSERT INTO runs (command, job, started) VALUES (?1, ?2, ?3)",
                params![subject.command, subject.job, now.as_millisecond()],
            )?;
            let run = transaction.last_insert_rowid();
            for thing in &subject.planned {
                insert(transaction, run, thing, None, "{}")?;
            }
            Ok(run)
        };
        let run = begin(&transaction).map_err(|cause| failed(&state, cause))?;
        // Before anybody can see the run.
        let sign = Sign::raise(&state, run).map_err(|cause| unusable(&state).caused_by(cause))?;
        transaction
            .commit()
            .map_err(|cause| failed(&state, cause))?;
        Ok(Ticket { run, sign })
    }

    /// Records how a run ended.
    pub fn end(&mut self, ticket: Ticket, run: &Run, lines: &[Line]) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        record(&transaction, ticket.run, run, lines)
            .and_then(|()| forget(&transaction, run.started))
            .map_err(|cause| failed(&state, cause))?;
        alive::tidy(&state);
        transaction
            .commit()
            .map_err(|cause| failed(&state, cause))?;
        ticket.sign.lower();
        Ok(())
    }

    /// When the history began.
    pub fn began(&self) -> Result<Timestamp> {
        let began = self
            .connection
            .query_row("SELECT began FROM origin", [], |row| time(row, 0));
        self.explain(began)
    }

    /// The newest runs.
    pub fn runs(&self, filter: &Filter, limit: u32) -> Result<Vec<Run>> {
        let runs = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM runs
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

    /// The run of this number, or the newest.
    pub fn log(&self, run: Option<i64>) -> Result<Log> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM runs
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

    /// Runs that died, and of which nobody has told.
    pub fn deaths(&self) -> Result<Vec<Run>> {
        let deaths = || {
            let mut asked = self.connection.prepare(
                "SELECT id, command, job, started, ended, verdict, exit_code, error FROM runs
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

    /// Records that somebody was told of runs that died.
    pub fn deaths_told(&mut self, runs: &[Run]) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        let told = runs.iter().try_for_each(|run| {
            let told = "UPDATE runs SET death_told = 1 WHERE id = ?1";
            transaction.execute(told, [run.id]).map(drop)
        });
        told.and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    /// The sources and sinks that were backed up, each with the job of its last run.
    pub(super) fn backed_up(&self) -> Result<Vec<(String, String, Option<String>)>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT source, sink, job FROM runs JOIN (
                     SELECT source, sink, max(run) AS last FROM parts
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
        thing: &Thing,
        only_successes: bool,
        limit: u32,
    ) -> Result<Vec<(i64, Timestamp, Part)>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT run, coalesce(ended, started), activity, source, sink, state, detail
                 FROM parts JOIN runs ON runs.id = parts.run
                 WHERE activity = ?1 AND (?2 IS NULL OR source = ?2) AND sink IS ?3
                   AND (NOT ?4 OR state IN ('ok', 'incomplete'))
                 ORDER BY run DESC LIMIT ?5",
            )?;
            let found = asked.query_map(
                params![
                    thing.activity.word(),
                    thing.source,
                    thing.sink,
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

    /// The last success of a thing.
    pub fn last_success(&self, thing: &Thing) -> Result<Option<Timestamp>> {
        let newest = self.newest(thing, true, 1)?;
        Ok(newest.first().map(|(_, time, _)| *time))
    }

    /// What was told and is not over.
    pub fn troubles(&self) -> Result<BTreeSet<Trouble>> {
        let found = || {
            let mut asked = self
                .connection
                .prepare("SELECT kind, activity, source, sink FROM troubles")?;
            let found = asked.query_map([], |row| {
                let kind = match row.get_ref(0)?.as_str()? {
                    "stale" => TroubleKind::Stale,
                    _ => TroubleKind::Failed,
                };
                let full = |text: String| (!text.is_empty()).then_some(text);
                let thing = Thing {
                    activity: activity(row, 1)?,
                    source: full(row.get(2)?),
                    sink: full(row.get(3)?),
                };
                Ok(Trouble { kind, thing })
            })?;
            found.collect()
        };
        self.explain(found())
    }

    /// Records what is told and not over from now on.
    pub fn set_troubles(&mut self, troubles: &BTreeSet<Trouble>) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        let set = || {
            transaction.execute("DELETE FROM troubles", [])?;
            for Trouble { kind, thing } in troubles {
                transaction.execute(
                    "INSERT INTO troubles VALUES (?1, ?2, coalesce(?3, ''), coalesce(?4, ''))",
                    params![kind.word(), thing.activity.word(), thing.source, thing.sink],
                )?;
            }
            Ok(())
        };
        set()
            .and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    /// Records how alerts were last delivered.
    pub fn set_deliveries(&mut self, deliveries: &[Delivery]) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        let set = deliveries.iter().try_for_each(|delivery| {
            let set = transaction.execute(
                "INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3)",
                params![
                    delivery.alert,
                    delivery.time.as_millisecond(),
                    delivery.error
                ],
            );
            set.map(drop)
        });
        set.and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    /// How alerts were last delivered.
    pub(super) fn deliveries(&self) -> Result<Vec<Delivery>> {
        let found = || {
            let mut asked = self
                .connection
                .prepare("SELECT alert, time, error FROM deliveries ORDER BY alert")?;
            let found = asked.query_map([], |row| {
                Ok(Delivery {
                    alert: row.get(0)?,
                    time: time(row, 1)?,
                    error: row.get(2)?,
                })
            })?;
            found.collect()
        };
        self.explain(found())
    }

    fn write(&mut self) -> Result<Transaction<'_>> {
        let Self { state, connection } = self;
        connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|cause| failed(state, cause))
    }

    fn explain<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|cause| failed(&self.state, cause))
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
            thing: Thing {
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

fn record(
    transaction: &Transaction<'_>,
    id: i64,
    run: &Run,
    lines: &[Line],
) -> rusqlite::Result<()> {
    let error = run.error.as_ref();
    transaction.execute(
        "UPDATE runs SET ended = ?2, verdict = ?3, exit_code = ?4, error = ?5 WHERE id = ?1",
        params![
            id,
            run.ended.map(Timestamp::as_millisecond),
            run.state.word(),
            run.exit_code,
            error.and_then(|error| serde_json::to_string(error).ok()),
        ],
    )?;
    transaction.execute("DELETE FROM parts WHERE run = ?1", [id])?;
    for part in &run.parts {
        let detail = serde_json::to_string(&part.detail).unwrap_or_else(|_| "{}".to_owned());
        insert(transaction, id, &part.thing, Some(part.state), &detail)?;
    }
    for line in lines {
        transaction.execute(
            "INSERT INTO lines VALUES (?1, ?2, ?3)",
            params![id, line.time.as_millisecond(), line.message],
        )?;
    }
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    run: i64,
    thing: &Thing,
    state: Option<State>,
    detail: &str,
) -> rusqlite::Result<()> {
    let state = state.map(State::word);
    transaction
        .execute(
            "INSERT INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                run,
                thing.activity.word(),
                thing.source,
                thing.sink,
                state,
                detail
            ],
        )
        .map(drop)
}

/// Removes what is too old.
fn forget(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let before = |age: Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        now.as_millisecond().saturating_sub(age)
    };
    transaction.execute(
        "DELETE FROM lines WHERE run IN (SELECT id FROM runs WHERE started < ?1)",
        [before(LINES_KEPT)],
    )?;
    transaction.execute(
        "DELETE FROM runs WHERE started < ?1 AND id NOT IN (
             SELECT max(run) FROM parts WHERE state IN ('ok', 'incomplete')
             GROUP BY activity, source, sink)",
        [before(KEPT)],
    )?;
    Ok(())
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let milliseconds = row.get(column)?;
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, milliseconds))
}

fn activity(row: &Row<'_>, column: usize) -> rusqlite::Result<Activity> {
    let word: String = row.get(column)?;
    Activity::named(&word).ok_or_else(|| {
        let what = format!("{word} is no activity");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
    })
}

fn failed(state: &Path, cause: rusqlite::Error) -> Error {
    unusable(state).caused_by(cause)
}

fn unusable(state: &Path) -> Error {
    database::unusable(&state.join(FILE))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::history::record::Problem;

    fn subject() -> Subject {
        Subject {
            command: "run",
            job: Some("nightly".into()),
            planned: vec![Thing::backup("db", "local")],
        }
    }

    fn ended(run: i64, started: Timestamp, state: State) -> Run {
        let mut part = Part::new(Thing::backup("db", "local"), state);
        part.detail.total_bytes_processed = Some(7);
        Run {
            id: Some(run),
            command: "run".into(),
            job: Some("nightly".into()),
            started,
            ended: Some(started),
            state,
            exit_code: Some(0),
            error: None,
            parts: vec![part],
        }
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).expect("it is a time")
    }

    #[test]
    fn a_run_is_found_again_as_it_was_recorded() {
        let state = tempfile::tempdir().expect("there is room");
        let state = state.path().join("state");
        let mut history = History::open(&state).expect("it is made");
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
        let ticket = history.begin(&subject(), second(5)).expect("it begins");
        let id = ticket.run;
        let running = history.log(None).expect("it is there").run;
        assert_eq!(running.state, State::Running);
        assert_eq!(running.parts[0].state, State::Running);
        let mut run = ended(id, second(5), State::Failed);
        run.error = Some(Problem {
            code: "locked".into(),
            subject: Some("sink local".into()),
            message: "somebody holds a lock".into(),
            help: Some("wait".into()),
        });
        let line = Line {
            time: second(6),
            message: "oh".into(),
        };
        let lines = std::slice::from_ref(&line);
        history.end(ticket, &run, lines).expect("there is room");
        let log = history.log(Some(id)).expect("it is there");
        assert_eq!(log.run, run);
        assert_eq!(log.lines, lines);
        assert_eq!(history.deaths().expect("it can be read"), []);
        let row = (
            "db".to_owned(),
            "local".to_owned(),
            Some("nightly".to_owned()),
        );
        assert_eq!(history.backed_up().expect("it can be read"), [row]);
        let of_job = |job: &str| {
            let filter = Filter {
                job: Some(job.into()),
                ..Filter::default()
            };
            history.runs(&filter, 9).expect("it can be read").len()
        };
        assert_eq!((of_job("nightly"), of_job("weekly")), (1, 0));
    }

    #[test]
    fn a_run_that_never_ended_is_told_once() {
        let state = tempfile::tempdir().expect("there is room");
        let mut history = History::open(state.path()).expect("it is made");
        drop(history.begin(&subject(), second(5)).expect("it begins"));
        let deaths = history.deaths().expect("it can be read");
        assert_eq!(deaths.len(), 1);
        assert_eq!(deaths[0].parts[0].state, State::Died);
        history.deaths_told(&deaths).expect("there is room");
        assert_eq!(history.deaths().expect("it can be read"), []);
    }

    #[test]
    fn the_last_success_of_a_thing_outlives_everything_old() {
        let state = tempfile::tempdir().expect("there is room");
        let mut history = History::open(state.path()).expect("it is made");
        let day = 24 * 3600;
        for (start, state) in [
            (1, State::Ok),
            (2, State::Ok),
            (3, State::Failed),
            (500, State::Failed),
        ] {
            let start = second(start * day);
            let ticket = history.begin(&subject(), start).expect("it begins");
            let run = ended(ticket.run, start, state);
            history.end(ticket, &run, &[]).expect("there is room");
        }
        let left = history.runs(&Filter::default(), 9).expect("it can be read");
        let left: Vec<_> = left.iter().map(|run| run.started).collect();
        assert_eq!(left, [second(500 * day), second(2 * day)]);
    }

    #[test]
    fn a_damaged_history_is_put_aside() {
        let state = tempfile::tempdir().expect("there is room");
        let path = state.path().join(FILE);
        fs::write(
            &path,
            "no database at all, but long enough for a header of one".repeat(9),
        )
        .expect("there is room");
        let history = History::open(state.path()).expect("another begins");
        assert_eq!(history.runs(&Filter::default(), 9).expect("it is new"), []);
        let names = fs::read_dir(state.path()).expect("it is there");
        let names: Vec<_> = names
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert!(
            names.iter().any(|name| name.contains(".damaged-")),
            "{names:?}"
        );
    }
}
