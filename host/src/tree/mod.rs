//! Trees of files on disk.
//!
//! It defends against malicious snapshots that try to write elsewhere, and against somebody who replaces a directory by a
//! symbolic link. Every step goes from the handle of a directory by one name, and follows no symbolic link. Only an
//! [`OperatorPath`] is opened by path.
//!
//! Handles of directories are cap-std's, which also refuses a name that leads out of its directory. rustix does what cap-std
//! lacks with the same handle: owners, attributes, devices, renaming without replacing, and reading without updating the
//! access time.

mod disk_dir;
mod holes;
mod metadata;
mod names;
mod operator_path;
mod read_dir;
mod restore;
mod root;
mod sparse;
mod target_dir;
#[cfg(test)]
mod tests;

use cap_std::fs::{OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

use disk_dir::DiskDir;
pub(crate) use operator_path::OperatorPath;
pub(crate) use read_dir::{FileReader, ReadDir, Stamp};
pub(crate) use restore::{DryRun, RestoreOptions, TreeWriter, failed as unrestored};
pub(crate) use root::Root;
pub(crate) use target_dir::{TargetDir, remove_partial};

/// How a directory is opened. cap-std has functions of its own for that, but their handles are only
/// good for going on from: they take neither attributes nor times.
fn open_directory() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::DIRECTORY.bits().cast_signed());
    options
}
