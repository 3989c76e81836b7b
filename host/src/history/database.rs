//! The file of the history: its schema, and what happens when it is damaged.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::ffi::{SQLITE_CANTOPEN, SQLITE_CORRUPT};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tracing::warn;

use crate::error::{Error, Kind, Result};
use crate::own_file;

/// Its name in the state directory.
pub(super) const FILE: &str = "history.sqlite";

/// How long another process is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// The version of the schema.
const VERSION: u32 = 2;

/// What makes each version of the schema from the one before. Times are in milliseconds since 1970.
const MIGRATIONS: [&str; VERSION as usize] = [
    "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        command TEXT NOT NULL,
        job TEXT,
        started INTEGER NOT NULL,
        ended INTEGER,
        verdict TEXT,
        exit_code INTEGER,
        error TEXT,
        death_told INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE parts (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        activity TEXT NOT NULL,
        source TEXT,
        sink TEXT,
        state TEXT,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX parts_of_run ON parts (run);
    CREATE INDEX parts_of_thing ON parts (activity, source, sink, run);
    CREATE TABLE lines (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        time INTEGER NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX lines_of_run ON lines (run);
    CREATE TABLE troubles (
        kind TEXT NOT NULL,
        activity TEXT NOT NULL,
        source TEXT NOT NULL,
        sink TEXT NOT NULL,
        PRIMARY KEY (kind, activity, source, sink)
    ) STRICT;
    CREATE TABLE deliveries (
        alert TEXT PRIMARY KEY,
        time INTEGER NOT NULL,
        error TEXT
    ) STRICT;
    CREATE TABLE origin (began INTEGER NOT NULL) STRICT;
    INSERT INTO origin VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER));
",
    // Whose each is; none where an older version has not recorded it.
    "
    ALTER TABLE runs ADD COLUMN config TEXT;
    ALTER TABLE origin ADD COLUMN config TEXT;
    ALTER TABLE troubles RENAME TO troubles_1;
    CREATE TABLE troubles (
        config TEXT,
        kind TEXT NOT NULL,
        activity TEXT NOT NULL,
        source TEXT NOT NULL,
        sink TEXT NOT NULL
    ) STRICT;
    INSERT INTO troubles SELECT NULL, kind, activity, source, sink FROM troubles_1;
    DROP TABLE troubles_1;
    ALTER TABLE deliveries RENAME TO deliveries_1;
    CREATE TABLE deliveries (
        config TEXT,
        alert TEXT NOT NULL,
        time INTEGER NOT NULL,
        error TEXT
    ) STRICT;
    INSERT INTO deliveries SELECT NULL, alert, time, error FROM deliveries_1;
    DROP TABLE deliveries_1;
",
];

/// Opens the file. One that is damaged is put aside, and another begins.
pub(super) fn open(state: &Path) -> Result<Connection> {
    let path = state.join(FILE);
    prepare(state, &path).map_err(|cause| unusable(&path).caused_by(cause))?;
    match connect(&path) {
        Err(cause) if is_damage(&cause) => {
            let aside = move_away(&path).map_err(|cause| unusable(&path).caused_by(cause))?;
            warn!(
                "the history of runs is damaged ({cause}): it was moved to {aside}, and another begins"
            );
            prepare(state, &path).map_err(|cause| unusable(&path).caused_by(cause))?;
            connect(&path).map_err(|cause| unusable(&path).caused_by(cause))
        }
        Err(cause) => Err(unusable(&path).caused_by(cause)),
        Ok(connection) => Ok(connection),
    }
}

/// What is said of a history that cannot be used.
pub(super) fn unusable(path: &Path) -> Error {
    let text = format!("the history of runs in {} cannot be used", path.display());
    Error::new(Kind::Other, text)
        .help("`status`, `history` and alerts on recovery need it; backups do not")
}

/// Sees to it that nobody else can read it: messages name files and databases.
fn prepare(state: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)?;
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = own_file::open(&options, path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Connects to a file that is there.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is made for this connection alone needs no room on a disk.
    connection.pragma_update(None, "temp_store", "memory")?;
    // A crash of the machine may take the last records, and never the file.
    connection.pragma_update(None, "synchronous", "normal")?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(failure(ErrorCode::DatabaseCorrupt, SQLITE_CORRUPT, &sound));
    }
    migrate(&mut connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
    };
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    let there = version(&transaction)?;
    if there > VERSION {
        return Err(failure(
            ErrorCode::CannotOpen,
            SQLITE_CANTOPEN,
            "a newer version of tthost wrote it",
        ));
    }
    for (before, migration) in (0..).zip(MIGRATIONS) {
        if before >= there {
            transaction.execute_batch(migration)?;
        }
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn failure(code: ErrorCode, extended_code: i32, what: &str) -> rusqlite::Error {
    let error = rusqlite::ffi::Error {
        code,
        extended_code,
    };
    rusqlite::Error::SqliteFailure(error, Some(what.to_owned()))
}

fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Moves the file with all that belongs to it, and answers where to.
fn move_away(path: &Path) -> io::Result<String> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let aside = format!("{}.damaged-{now}", path.display());
    fs::rename(path, &aside)?;
    for of_it in ["-wal", "-shm"] {
        match fs::rename(
            format!("{}{of_it}", path.display()),
            format!("{aside}{of_it}"),
        ) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    Ok(aside)
}

/// A file as the first version of the schema had it, with a backup of `db` into `local`.
#[cfg(test)]
pub(super) fn of_first_version(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch(MIGRATIONS[0])?;
    connection.pragma_update(None, "user_version", 1)?;
    connection.execute_batch(
        "INSERT INTO runs (command, started, ended, verdict) VALUES ('run', 5000, 6000, 'ok');
         INSERT INTO parts VALUES (1, 'backup', 'db', 'local', 'ok', '{}');
         INSERT INTO troubles VALUES ('stale', 'backup', 'db', 'local');
         INSERT INTO deliveries VALUES ('chat', 6000, NULL);
         UPDATE origin SET began = 1000;",
    )
}
