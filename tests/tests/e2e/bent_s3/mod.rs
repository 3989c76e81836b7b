//! Repositories in an S3 server that answers as no server should: whatever it says, nothing that
//! was stored is lost, and no snapshot names what is not there.

mod answers;
mod dialects;
mod failures;
mod listings;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::bent_s3::{Asked, Bend, BentS3};
use tthost_tests::offsite::{Depot, PASSWORD};
use tthost_tests::restic::Restic;
use tthost_tests::s3::Bucket;

/// The bucket of a test.
const BUCKET: &str = "backups";

/// Where the repository is in it.
const PREFIX: &str = "machines/one";

/// A server, and a depot whose sink `offsite` is in it.
struct Scene {
    server: BentS3,
    /// As its owner sees it: without any bending.
    bucket: Bucket,
    depot: Depot,
}

impl Scene {
    /// With answers that are bent like this, and no repository yet.
    fn new(bend: impl Fn(&Asked) -> Bend + Send + Sync + 'static) -> Result<Self> {
        Self::with("", bend)
    }

    /// The same, with more lines in the sink's table.
    fn with(settings: &str, bend: impl Fn(&Asked) -> Bend + Send + Sync + 'static) -> Result<Self> {
        let server = BentS3::start(bend)?;
        let bucket = server.new_bucket(BUCKET)?;
        let mut offsite = server.place(&format!("{BUCKET}/{PREFIX}"));
        settings.clone_into(&mut offsite.settings);
        let depot = Depot::new(&[("offsite", &offsite)])?;
        Ok(Self {
            server,
            bucket,
            depot,
        })
    }

    /// With a repository, made while nothing was bent yet.
    fn ready(settings: &str) -> Result<Self> {
        let scene = Self::with(settings, |_| Bend::Pass)?;
        scene.init()?;
        Ok(scene)
    }

    /// Makes the repository.
    fn init(&self) -> Result<()> {
        let init = ["init", "--sink", "offsite"];
        self.depot.tthost.ok(&init).map(drop)
    }

    /// Removes what is kept on this machine, so that everything is read from the server.
    fn forget(&self) -> Result<()> {
        let state = self.depot.tthost.home().join("state-offsite");
        fs::remove_dir_all(state).context("there is no state")
    }

    /// Lets the program look at every byte.
    fn check(&self) -> Result<()> {
        let check = ["check", "--sink", "offsite", "--read-data"];
        self.depot.tthost.ok(&check).map(drop)
    }

    /// Restores the latest snapshot and compares it with the tree.
    fn restore(&self) -> Result<()> {
        let target = tempfile::tempdir()?;
        let to = target.path().to_string_lossy();
        let restore = ["restore", "latest", "--sink", "offsite", "--to", &to];
        self.depot.tthost.ok(&restore)?;
        self.depot.expect_restored(target.path())
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
        // What is empty is no directory of a bucket, and restic wants it to be one.
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
            self.depot.expect_restored(restored.path())?;
        }
        Ok(())
    }
}
