//! Machines that die, disks and servers that fail, and amounts that are large: whatever happens, nothing is lost.
//!
//! Each proof is there twice: a short one in every test run, and a long one for `cargo xtask soak`.

mod disks;
mod kills;
mod many_files;
mod python;
mod s3_faults;

use anyhow::{Result, bail, ensure};
use tthost_tests::command::Outcome;
use tthost_tests::s3::Bucket;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::trial::{Store, Trial};

/// The bucket of all trials.
const BUCKET: &str = "trials";

/// A server for the repositories of many trials.
struct Server {
    seaweed: Seaweed,
    bucket: Bucket,
}

impl Server {
    fn start() -> Result<Self> {
        let seaweed = Seaweed::start()?;
        let bucket = seaweed.new_bucket(BUCKET)?;
        Ok(Self { seaweed, bucket })
    }

    /// A place that nobody has used yet.
    fn place(&self) -> Store<'_> {
        let prefix = format!("{:016x}", fastrand::u64(..));
        let place = format!("{BUCKET}/{prefix}");
        Store::S3 {
            offsite: self.seaweed.offsite(&place, Class::Full),
            bucket: &self.bucket,
            prefix,
        }
    }
}

/// Fails unless the program ended by itself, did what it says it did, and says so when it did not.
fn expect_honest(trial: &Trial<'_>, outcome: &Outcome) -> Result<()> {
    match outcome.status.code() {
        Some(0) => trial.expect_done(),
        Some(1 | 3 | 10 | 11 | 12) => {
            ensure!(!outcome.stderr.trim().is_empty(), "it does not say why");
            Ok(())
        }
        _ => bail!("it ended as no command ends"),
    }
}
