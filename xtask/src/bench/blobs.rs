//! A repository with very many blobs, made once.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::contender::{self, Contender as _, Workspace};
use super::repository::Repository;
use super::subject::{Data, Subject};
use super::{MEMORY, measure, tree};

/// Goes up when the repository changes.
pub(crate) const VERSION: u32 = 1;

/// The length of each blob of contents, in bytes.
pub(crate) const BYTES: usize = 64;

/// Files, of one blob each, that are backed up at a time.
const AT_A_TIME: u64 = 500_000;

/// Makes a repository with so many blobs of contents, by backups of directories of which none has a file of another.
pub(crate) fn write(path: &Path, blobs: u64) -> Result<()> {
    let work = TempDir::with_prefix_in("tthost-bench.", MEMORY)?;
    let files = work.path().join("files");
    let data = Data::Tree(files.clone());
    let subject = Subject::new("many blobs".into(), data, blobs * BYTES as u64);
    let repositories = [Repository::Directory(path.to_owned())];
    let workspace = Workspace {
        subject: &subject,
        work: work.path(),
        repositories: &repositories,
    };
    let tthost = contender::tthost();
    tthost.init(&workspace)?;
    let mut written = 0;
    while written < blobs {
        let count = AT_A_TIME.min(blobs - written);
        tree::write_random(&files, written, count, BYTES)?;
        for mut command in tthost.backup(&workspace)? {
            measure::cost(command.current_dir(work.path()))?;
        }
        std::fs::remove_dir_all(&files)?;
        written += count;
        println!("{written} of {blobs} blobs");
    }
    Ok(())
}
