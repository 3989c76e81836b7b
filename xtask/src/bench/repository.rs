//! Where the repositories are: in a directory, or in a bucket of a server on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tthost_tests::counting::Counting;
use tthost_tests::files;
use tthost_tests::offsite::{Offsite, PASSWORD};
use tthost_tests::restic::Restic;
use tthost_tests::rustic::Rustic;
use tthost_tests::s3::Bucket;
use tthost_tests::seaweed::{Class, Seaweed};

use crate::setup;

const BUCKET: &str = "bench";

/// A running S3 server, and a way to it on which requests are counted.
pub(crate) struct Server {
    seaweed: Seaweed,
    counting: Counting,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        setup::seaweedfs()?;
        let seaweed = Seaweed::start()?;
        seaweed.new_bucket(BUCKET)?;
        let counting = Counting::before(&seaweed.endpoint())?;
        Ok(Self { seaweed, counting })
    }

    /// A new repository below this prefix.
    pub(crate) fn repository(&self, prefix: &str, work: &Path) -> Repository {
        Self::repository_by(self.seaweed.endpoint(), prefix, work)
    }

    /// A new repository below this prefix whose requests are counted, and what counts them.
    pub(crate) fn counted_repository(&self, prefix: &str, work: &Path) -> (Repository, &Counting) {
        let repository = Self::repository_by(self.counting.endpoint(), prefix, work);
        (repository, &self.counting)
    }

    fn repository_by(endpoint: String, prefix: &str, work: &Path) -> Repository {
        Repository::Bucket {
            offsite: Offsite {
                endpoint,
                place: format!("{BUCKET}/{prefix}"),
                access_key: Class::Full.access_key().to_owned(),
                secret_key: Class::Full.secret_key(),
                settings: String::new(),
            },
            cache: work.join("cache"),
        }
    }
}

/// A repository that need not exist yet.
pub(crate) enum Repository {
    Directory(PathBuf),
    Bucket {
        offsite: Offsite,
        /// Of restic or rustic, for which it is what its state is for tthost.
        cache: PathBuf,
    },
}

impl Repository {
    /// As restic writes it.
    pub(crate) fn address(&self) -> OsString {
        match self {
            Self::Directory(path) => path.into(),
            Self::Bucket { offsite, .. } => {
                format!("s3:{}/{}", offsite.endpoint, offsite.place).into()
            }
        }
    }

    /// The repository as restic sees it.
    pub(crate) fn restic(&self) -> Result<Restic> {
        let restic = Restic::at(self.address(), PASSWORD)?;
        Ok(match self {
            Self::Directory(_) => restic,
            Self::Bucket { offsite, .. } => restic.with([
                ("AWS_ACCESS_KEY_ID", offsite.access_key.clone()),
                ("AWS_SECRET_ACCESS_KEY", offsite.secret_key.clone()),
            ]),
        })
    }

    /// The repository as rustic sees it, built as its authors release it.
    pub(crate) fn rustic(&self) -> Result<Rustic> {
        let rustic = Rustic::with_program(setup::released_rustic()?, self.address(), PASSWORD)?;
        Ok(match self {
            Self::Directory(_) => rustic,
            Self::Bucket { offsite, .. } => {
                let place = offsite.place.split_once('/');
                rustic.in_bucket(
                    &offsite.endpoint,
                    place.context("a place has a prefix")?,
                    (&offsite.access_key, &offsite.secret_key),
                )
            }
        })
    }

    /// All its bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        match self {
            Self::Directory(path) => files::size(path),
            Self::Bucket { offsite, .. } => {
                let Offsite {
                    endpoint,
                    place,
                    access_key,
                    secret_key,
                    ..
                } = offsite;
                let (bucket, prefix) = place.split_once('/').context("a place has a prefix")?;
                let objects = Bucket::at(endpoint, bucket, access_key, secret_key)?
                    .list(&format!("{prefix}/"))?;
                Ok(objects.iter().map(|(_, size)| size).sum())
            }
        }
    }
}
