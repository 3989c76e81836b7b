//! Writes the history.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tempfile::TempDir;

use super::alive::{self, RunLock};
use super::configuration::{Configuration, scope};
use super::copy;
use super::database::{self, FILE};
use super::query::Line;
use super::record::{PartKey, PlannedRun, Run, State};
use crate::error::{Error, Result};

/// The maximum age of runs, except for the last success of each part.
const KEPT: Duration = Duration::from_hours(400 * 24);

/// The maximum age of their messages.
const LINES_KEPT: Duration = Duration::from_hours(60 * 24);

/// The newest runs are remembered however old they look: a run whose clock is years ahead must not wipe all others.
const RUNS_KEPT: i64 = 1000;

/// The same for messages.
const RUNS_WITH_LINES: i64 = 200;

/// The history of runs on this machine.
#[derive(Debug)]
pub struct History {
    pub(super) state: PathBuf,
    pub(super) connection: Connection,
    pub(super) configuration: Configuration,
    /// The temporary copy that is read, if any.
    _copy: Option<TempDir>,
}

/// A run that is under way.
#[derive(Debug)]
pub struct RunHandle {
    /// Its number.
    pub run: i64,
    lock: RunLock,
}

impl History {
    /// The history of a configuration in this state directory, which is made when it is missing.
    pub fn open(state: &Path, configuration: &Configuration) -> Result<Self> {
        Self::new(state, configuration, database::open(state)?, None)
    }

    /// The history of a configuration in this state directory, if there is one, to be read: where it cannot be written to, in a
    /// copy.
    pub fn find(state: &Path, configuration: &Configuration) -> Result<Option<Self>> {
        let is_there = state.join(FILE).try_exists();
        if !is_there.map_err(|cause| unusable(state).caused_by(cause))? {
            return Ok(None);
        }
        let opened = Self::open(state, configuration).or_else(|_| {
            let (connection, copy) = copy::open(state)?;
            Self::new(state, configuration, connection, Some(copy))
        });
        opened.map(Some)
    }

    fn new(
        state: &Path,
        configuration: &Configuration,
        mut connection: Connection,
        copy: Option<TempDir>,
    ) -> Result<Self> {
        scope(&mut connection, configuration).map_err(|cause| failed(state, cause))?;
        Ok(Self {
            state: state.to_owned(),
            connection,
            configuration: configuration.clone(),
            _copy: copy,
        })
    }

    /// Records the beginning of a run.
    pub fn begin(&mut self, planned: &PlannedRun, now: Timestamp) -> Result<RunHandle> {
        let state = self.state.clone();
        let configuration = self.configuration.clone();
        let transaction = self.write()?;
        let begin = |transaction: &Transaction<'_>| {
            transaction.execute(
                "INSERT INTO runs (config, command, job, started) VALUES (?1, ?2, ?3, ?4)",
                params![
                    configuration.name(),
                    planned.command,
                    planned.job,
                    now.as_millisecond()
                ],
            )?;
            let run = transaction.last_insert_rowid();
            for key in &planned.parts {
                insert(transaction, run, key, None, "{}")?;
            }
            Ok(run)
        };
        let run = begin(&transaction).map_err(|cause| failed(&state, cause))?;
        // Before anybody can see the run.
        let lock = RunLock::take(&state, run).map_err(|cause| unusable(&state).caused_by(cause))?;
        transaction
            .commit()
            .map_err(|cause| failed(&state, cause))?;
        Ok(RunHandle { run, lock })
    }

    /// Records the end of a run.
    pub fn end(&mut self, handle: RunHandle, run: &Run, lines: &[Line]) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        record(&transaction, handle.run, run, lines)
            .and_then(|()| forget(&transaction, run.started))
            .map_err(|cause| failed(&state, cause))?;
        alive::remove_stale(&state);
        transaction
            .commit()
            .map_err(|cause| failed(&state, cause))?;
        handle.lock.release();
        Ok(())
    }

    /// Records that dead runs were reported.
    pub fn mark_deaths_reported(&mut self, runs: &[Run]) -> Result<()> {
        let state = self.state.clone();
        let transaction = self.write()?;
        let told = runs.iter().try_for_each(|run| {
            let told = "UPDATE runs SET death_told = 1 WHERE id = ?1";
            transaction.execute(told, [run.id]).map(drop)
        });
        told.and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    pub(super) fn write(&mut self) -> Result<Transaction<'_>> {
        let Self {
            state, connection, ..
        } = self;
        connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|cause| failed(state, cause))
    }

    pub(super) fn explain<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|cause| failed(&self.state, cause))
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
        insert(transaction, id, &part.key, Some(part.state), &detail)?;
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
    key: &PartKey,
    state: Option<State>,
    detail: &str,
) -> rusqlite::Result<()> {
    let state = state.map(State::word);
    transaction
        .execute(
            "INSERT INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                run,
                key.activity.word(),
                key.source,
                key.sink,
                state,
                detail
            ],
        )
        .map(drop)
}

/// Removes old runs that are not among the newest.
fn forget(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let before = |age: Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        now.as_millisecond().saturating_sub(age)
    };
    transaction.execute(
        "DELETE FROM lines WHERE run IN (
             SELECT id FROM runs WHERE started < ?1 AND id <= (SELECT max(id) FROM runs) - ?2)",
        [before(LINES_KEPT), RUNS_WITH_LINES],
    )?;
    transaction.execute(
        "DELETE FROM runs WHERE started < ?1 AND id <= (SELECT max(id) FROM runs) - ?2
         AND id NOT IN (
             SELECT max(run) FROM parts JOIN runs ON runs.id = run
             WHERE state IN ('ok', 'incomplete')
             GROUP BY config, activity, source, sink)",
        [before(KEPT), RUNS_KEPT],
    )?;
    Ok(())
}

pub(super) fn failed(state: &Path, cause: rusqlite::Error) -> Error {
    unusable(state).caused_by(cause)
}

fn unusable(state: &Path) -> Error {
    database::unusable(&state.join(FILE))
}
