//! Where the repository of a trial is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::PASSWORD;
use super::stock::local_sink;
use crate::command;
use crate::files::read_tree;
use crate::offsite::Offsite;
use crate::restic::Restic;
use crate::s3::Bucket;

/// The directories of a repository.
const DIRECTORIES: [&str; 5] = ["data", "index", "keys", "locks", "snapshots"];

/// A place for a repository.
#[derive(Debug)]
pub enum Store<'a> {
    /// This directory.
    Directory(PathBuf),
    /// A prefix of a bucket.
    S3 {
        /// As the program reaches it.
        offsite: Offsite,
        /// As its owner does.
        bucket: &'a Bucket,
        /// What the names of the repository's objects begin with.
        prefix: String,
    },
}

impl Store<'_> {
    /// The sink of this name, as a configuration has it.
    pub(super) fn to_toml(&self, name: &str) -> String {
        match self {
            Self::Directory(path) => local_sink(name, path),
            Self::S3 { offsite, .. } => offsite.to_toml(name),
        }
    }

    /// Puts a copy of a repository there.
    pub(super) fn fill(&self, repository: &Path) -> Result<()> {
        match self {
            Self::Directory(path) => {
                let mut copy = Command::new("cp");
                copy.arg("-a").arg(repository).arg(path);
                command::run(&mut copy)?.success().map(drop)
            }
            Self::S3 { bucket, prefix, .. } => {
                for (path, contents) in read_tree(repository)? {
                    let key = format!("{prefix}/{}", path.display());
                    ensure!(
                        bucket.put(&key, &contents)? == 200,
                        "{key} cannot be stored"
                    );
                }
                Ok(())
            }
        }
    }

    /// The names of all files of the repository.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        match self {
            Self::Directory(path) if !path.exists() => Ok(Vec::new()),
            Self::Directory(path) => {
                let files = read_tree(path)?.into_keys();
                Ok(files.map(|path| path.display().to_string()).collect())
            }
            Self::S3 { bucket, prefix, .. } => {
                let prefix = format!("{prefix}/");
                let objects = bucket.list(&prefix)?.into_iter();
                Ok(objects
                    .map(|(key, _)| key.trim_start_matches(&prefix).to_owned())
                    .collect())
            }
        }
    }

    /// The repository as the real restic sees it, which asks no server.
    pub(super) fn restic(&self) -> Result<(Restic, Option<TempDir>)> {
        match self {
            Self::Directory(path) => Ok((Restic::at(path, PASSWORD)?, None)),
            Self::S3 { bucket, prefix, .. } => {
                let copy = tempfile::tempdir()?;
                bucket.download(prefix, copy.path())?;
                // What is empty is not a directory of a bucket, and restic wants it to be one.
                for directory in DIRECTORIES {
                    fs::create_dir_all(copy.path().join(directory))?;
                }
                Ok((Restic::at(copy.path(), PASSWORD)?, Some(copy)))
            }
        }
    }
}

impl Drop for Store<'_> {
    fn drop(&mut self) {
        // A server has room for some thousand of them, and not for more.
        if let (Self::S3 { bucket, prefix, .. }, Ok(names)) = (&*self, self.names()) {
            for name in names {
                let _ = bucket.delete(&format!("{prefix}/{name}"));
            }
        }
    }
}
