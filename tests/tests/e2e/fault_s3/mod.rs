//! Repositories in an S3 server that answers as no server should: whatever it says, nothing that
//! was stored is lost, and no snapshot names what is not there.

mod answers;
mod dialects;
mod failures;
mod listings;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::cheap_key::cheapen_in;
use tthost_tests::fault_s3::{Fault, FaultS3, S3Request};
use tthost_tests::offsite::{OffsiteFixture, PASSWORD};
use tthost_tests::restic::Restic;
use tthost_tests::s3::Bucket;

/// The bucket of a test.
const BUCKET: &str = "backups";

/// Where the repository is in it.
const PREFIX: &str = "machines/one";

/// A server, and a fixture whose sink `offsite` is in it.
struct Fixture {
    server: FaultS3,
    /// As its owner sees it: without any faults.
    bucket: Bucket,
    offsite: OffsiteFixture,
}

impl Fixture {
    /// With answers that are faulty like this, and no repository yet.
    fn new(fault: impl Fn(&S3Request) -> Fault + Send + Sync + 'static) -> Result<Self> {
        Self::with("", fault)
    }

    /// The same, with more lines in the sink's table.
    fn with(
        settings: &str,
        fault: impl Fn(&S3Request) -> Fault + Send + Sync + 'static,
    ) -> Result<Self> {
        let server = FaultS3::start(fault)?;
        let bucket = server.new_bucket(BUCKET)?;
        let mut offsite = server.place(&format!("{BUCKET}/{PREFIX}"));
        settings.clone_into(&mut offsite.settings);
        let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
        Ok(Self {
            server,
            bucket,
            offsite: fixture,
        })
    }

    /// With a repository, made while nothing was faulty yet.
    fn ready(settings: &str) -> Result<Self> {
        let fixture = Self::with(settings, |_| Fault::Pass)?;
        fixture.init()?;
        Ok(fixture)
    }

    /// Makes the repository.
    fn init(&self) -> Result<()> {
        let init = ["init", "--sink", "offsite"];
        self.offsite.tthost.ok(&init)?;
        cheapen_in(&self.bucket, PREFIX, PASSWORD)
    }

    /// Removes what is kept on this machine, so that everything is read from the server.
    fn forget(&self) -> Result<()> {
        let state = self.offsite.tthost.home().join("state-offsite");
        fs::remove_dir_all(state).context("there is no state")
    }

    /// Where the copies of the repository are on this machine.
    fn copies(&self) -> Result<PathBuf> {
        let state = self.offsite.tthost.home().join("state-offsite");
        let mut places = fs::read_dir(state)?.map(|entry| Ok(entry?.path()));
        let found = places.find(|place: &Result<PathBuf>| {
            place
                .as_ref()
                .map_or(true, |place| place.join("keys").is_dir())
        });
        found.context("there are no copies")?
    }

    /// Lets the program look at every byte.
    fn check(&self) -> Result<()> {
        let check = ["check", "--sink", "offsite", "--read-data"];
        self.offsite.tthost.ok(&check).map(drop)
    }

    /// Restores the latest snapshot and compares it with the tree.
    fn restore(&self) -> Result<()> {
        let target = tempfile::tempdir()?;
        let to = target.path().to_string_lossy();
        let restore = ["restore", "latest", "--sink", "offsite", "--to", &to];
        self.offsite.tthost.ok(&restore)?;
        self.offsite.expect_restored(target.path())
    }

    /// Whether there are objects of this kind.
    fn has(&self, kind: &str) -> Result<bool> {
        let prefix = format!("{PREFIX}/{kind}/");
        Ok(!self.bucket.list(&prefix)?.is_empty())
    }

    /// Fails unless there are so many snapshots and the real restic, which asks no server, finds
    /// everything that they name; the latest one has to be what the tree is.
    fn expect_sound(&self, snapshots: usize) -> Result<()> {
        self.expect_sound_at(PREFIX, snapshots)
    }

    /// The same of a repository in another place of the bucket.
    fn expect_sound_at(&self, prefix: &str, snapshots: usize) -> Result<()> {
        let copy = tempfile::tempdir()?;
        self.bucket.download(prefix, copy.path())?;
        // What is empty is not a directory of a bucket, and restic wants it to be one.
        for directory in ["data", "index", "keys", "locks", "snapshots"] {
            fs::create_dir_all(copy.path().join(directory))?;
        }
        let restic = Restic::at(copy.path(), PASSWORD)?;
        restic.check()?;
        let found = restic.snapshots()?.len();
        ensure!(found == snapshots, "there are {found} snapshots");
        if found > 0 {
            let restored = tempfile::tempdir()?;
            restic.restore("latest", restored.path())?;
            self.offsite.expect_restored(restored.path())?;
        }
        Ok(())
    }
}
