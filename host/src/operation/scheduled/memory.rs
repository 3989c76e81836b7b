//! The files that remember when jobs ran. Two configurations that share a state directory may have jobs of the same
//! name.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The directory in the state directory.
const DIRECTORY: &str = "schedule";

/// Bytes of a digest that tell configurations apart.
const TELLING: usize = 8;

/// The files in which one configuration records its jobs.
#[derive(Clone, Debug)]
pub struct Memory {
    own: PathBuf,
    earlier: PathBuf,
}

impl Memory {
    /// That of this configuration in this state directory.
    pub fn new(state: &Path, configuration: &str) -> Self {
        let earlier = state.join(DIRECTORY);
        let digest = Sha256::digest(configuration);
        Self {
            own: earlier.join(hex::encode(&digest[..TELLING])),
            earlier,
        }
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.own
    }

    /// The lock that a running job holds.
    pub(super) fn lock(&self, job: &str) -> PathBuf {
        self.own.join(format!("{job}.lock"))
    }

    /// The lock that the daemon of the job holds.
    pub(crate) fn daemon(&self, job: &str) -> PathBuf {
        self.own.join(format!("{job}.daemon"))
    }

    /// When the job last ran.
    pub(crate) fn record(&self, job: &str) -> PathBuf {
        self.own.join(record(job))
    }

    /// The same as older versions wrote it, for a job of any configuration.
    pub(super) fn earlier_record(&self, job: &str) -> PathBuf {
        self.earlier.join(record(job))
    }
}

fn record(job: &str) -> String {
    format!("{job}.json")
}
