//! Locks by which a daemon claims the jobs that it starts. The kernel removes a lock when the process ends, however it ends.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;

use super::Job;
use crate::error::{Error, Kind, Result};
use crate::operation::scheduled::Memory;
use crate::own_file;

/// The jobs that this daemon starts, each with its lock.
#[derive(Default)]
pub(super) struct JobClaims(BTreeMap<String, File>);

impl JobClaims {
    /// Claims these jobs for this daemon, and no others. Fails where another daemon starts one of them.
    pub(super) fn set(&mut self, jobs: &[Job]) -> Result<()> {
        self.0
            .retain(|name, _| jobs.iter().any(|job| job.name == *name));
        for job in jobs {
            if !self.0.contains_key(&job.name) {
                self.0.insert(job.name.clone(), hold(job)?);
            }
        }
        Ok(())
    }
}

/// Whether a daemon starts this job.
pub fn is_running(memory: &Memory, job: &str) -> bool {
    let Ok(file) = own_file::open(File::options().write(true), &memory.daemon(job)) else {
        return false;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn hold(job: &Job) -> Result<File> {
    let path = job.memory.daemon(&job.name);
    let failed =
        |cause: io::Error| Error::of_system(format!("{} cannot be used", path.display()), cause);
    fs::create_dir_all(job.memory.directory()).map_err(failed)?;
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let file = own_file::open(&options, &path).map_err(failed)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            let text = format!("another daemon starts the job {}", job.name);
            Error::new(Kind::Locked, text).help(
                "stop it, or look for it with `ps -C tthost`; `tthost daemon JOB` takes other jobs",
            )
        }
        TryLockError::Error(cause) => failed(cause),
    })?;
    Ok(file)
}
