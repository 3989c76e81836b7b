//! Keeps a job from running twice at a time, and remembers its last run.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::memory::Memory;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::operation::Verdict;
use crate::own_file;

/// What to do about a state directory that nothing can be written to.
const HELP: &str = "make room there, or name another directory in TTHOST_STATE_DIR";

/// The lock of a job that runs. The kernel removes it when the process ends, however it ends.
///
/// Where nothing can be kept on this machine, jobs run all the same: a full disk is when a backup is needed.
pub(super) struct JobLock {
    record: PathBuf,
    started: Timestamp,
    /// The last good drill.
    drilled: Option<Timestamp>,
    _lock: Option<File>,
}

/// The last run of a job that a schedule started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct LastRun {
    /// When it began.
    #[serde(serialize_with = "json::time")]
    pub started: Timestamp,
    /// When it ended; none while it goes on, and where it was killed.
    #[serde(serialize_with = "json::optional_time")]
    pub ended: Option<Timestamp>,
    /// The exit code that it ended with.
    pub exit_code: Option<u8>,
    /// When a drill was last good, in this run or one before.
    #[serde(default, serialize_with = "json::optional_time")]
    pub drilled: Option<Timestamp>,
}

impl JobLock {
    /// Locks a job and remembers that it began.
    pub(super) fn take(memory: &Memory, job: &str) -> Result<Self> {
        let lock = match lock(memory, job) {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => {
                let text = format!("the job {job} is running already");
                return Err(Error::new(Kind::Locked, text)
                    .help("wait for it, or look for it with `ps -C tthost`"));
            }
            Err(TryLockError::Error(cause)) => {
                let text = format!("nothing keeps another run of {job} from starting meanwhile");
                let path = memory.directory();
                warn!(help = HELP, "{text}: {:#}", failed(path, cause));
                None
            }
        };
        // A record that is damaged is written anew, and a drill too many does no harm.
        let before = LastRun::of(memory, job).ok().flatten();
        let lock = Self {
            record: memory.record(job),
            started: Timestamp::now(),
            drilled: before.and_then(|run| run.drilled),
            _lock: lock,
        };
        lock.write(None, None);
        Ok(lock)
    }

    /// Whether the last good drill is as long ago as this.
    pub(super) fn is_drill_due(&self, every: Duration) -> bool {
        // A run that begins a little earlier than the one before is not meant to wait for the next.
        let every = every.saturating_sub(every / 10);
        let age = |at| self.started.duration_since(at);
        self.drilled.is_none_or(|at| {
            SignedDuration::try_from(every).is_ok_and(|every| age(at).abs() >= every)
        })
    }

    /// Remembers that a drill was good.
    pub(super) fn drilled(&mut self) {
        self.drilled = Some(self.started);
    }

    /// Remembers how it ended.
    pub(super) fn end(self, verdict: Verdict) {
        self.write(Some(Timestamp::now()), Some(verdict.exit_code()));
    }

    fn write(&self, ended: Option<Timestamp>, exit_code: Option<u8>) {
        let run = LastRun {
            started: self.started,
            ended,
            exit_code,
            drilled: self.drilled,
        };
        let text = serde_json::to_string(&run).expect("it is JSON");
        let written = own_file::replace(&self.record, (text + "\n").as_bytes());
        if let Err(cause) = written.map_err(|cause| failed(&self.record, cause)) {
            warn!(help = HELP, "when the job ran is not remembered: {cause:#}");
        }
    }
}

fn lock(memory: &Memory, job: &str) -> Result<File, TryLockError> {
    fs::create_dir_all(memory.directory()).map_err(TryLockError::Error)?;
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let lock = own_file::open(&options, &memory.lock(job)).map_err(TryLockError::Error)?;
    lock.try_lock()?;
    Ok(lock)
}

impl LastRun {
    /// That of this job, if it ever ran.
    pub fn of(memory: &Memory, job: &str) -> Result<Option<Self>> {
        match Self::read(&memory.record(job))? {
            None => Self::read(&memory.earlier_record(job)),
            found => Ok(found),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        let text = match own_file::read_text(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failed(path, cause)),
        };
        let run = serde_json::from_str(&text).map_err(|cause| {
            let text = format!("{} is damaged", path.display());
            Error::new(Kind::Corrupt, text)
                .caused_by(cause)
                .help("remove it")
        })?;
        Ok(Some(run))
    }
}

fn failed(path: &Path, cause: io::Error) -> Error {
    Error::of_system(format!("{} cannot be used", path.display()), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_one_run_at_a_time_and_the_last_is_remembered() {
        let state = tempfile::tempdir().expect("there is room");
        let memory = Memory::new(state.path(), "/etc/tthost.toml");
        assert_eq!(LastRun::of(&memory, "nightly").expect("it is fine"), None);
        let lock = JobLock::take(&memory, "nightly").expect("it is free");
        let second = JobLock::take(&memory, "nightly")
            .err()
            .expect("it is taken");
        assert_eq!(second.kind(), Kind::Locked);
        JobLock::take(&memory, "weekly").expect("another one is free");
        let last = || {
            LastRun::of(&memory, "nightly")
                .expect("it is fine")
                .expect("it ran")
        };
        assert_eq!((last().ended, last().exit_code), (None, None));
        lock.end(Verdict::Incomplete);
        assert_eq!(last().exit_code, Some(3));
        assert!(last().ended >= Some(last().started));
        JobLock::take(&memory, "nightly").expect("it is free again");
    }

    #[test]
    fn a_job_of_another_configuration_is_another_job_and_an_older_record_counts() {
        let state = tempfile::tempdir().expect("there is room");
        let [one, other] = ["/one.toml", "/other.toml"].map(|of| Memory::new(state.path(), of));
        let lock = JobLock::take(&one, "nightly").expect("it is free");
        JobLock::take(&other, "nightly")
            .expect("it is another job")
            .end(Verdict::Incomplete);
        lock.end(Verdict::Done);
        let last = |memory| LastRun::of(memory, "nightly").expect("it is fine");
        let code = |memory| last(memory).expect("it ran").exit_code;
        assert_eq!((code(&one), code(&other)), (Some(0), Some(3)));
        fs::rename(one.record("nightly"), one.earlier_record("nightly")).expect("it is there");
        assert_eq!((code(&one), code(&other)), (Some(0), Some(3)));
    }

    #[test]
    fn where_nothing_can_be_kept_a_job_runs_all_the_same() {
        let directory = tempfile::tempdir().expect("there is room");
        let memory = Memory::new(&directory.path().join("a file"), "");
        fs::write(directory.path().join("a file"), "").expect("there is room");
        let lock = JobLock::take(&memory, "nightly").expect("it is free");
        assert!(lock.is_drill_due(Duration::from_hours(1)));
        lock.end(Verdict::Done);
    }

    #[test]
    fn a_drill_is_due_when_the_last_good_one_is_long_ago() {
        let state = tempfile::tempdir().expect("there is room");
        let memory = Memory::new(state.path(), "");
        let mut lock = JobLock::take(&memory, "nightly").expect("it is free");
        let week = Duration::from_hours(7 * 24);
        assert!(lock.is_drill_due(week), "there was none");
        lock.drilled();
        lock.end(Verdict::Done);
        let mut lock = JobLock::take(&memory, "nightly").expect("it is free");
        assert!(!lock.is_drill_due(week));
        assert!(lock.is_drill_due(Duration::ZERO));
        lock.started += week;
        assert!(lock.is_drill_due(week));
        lock.started -= Duration::from_hours(1);
        assert!(lock.is_drill_due(week), "it is close enough");
    }
}
