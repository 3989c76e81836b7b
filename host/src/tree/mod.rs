//! Trees of files on disk.
//!
//! What this defends against: a snapshot that was made to write elsewhere, and somebody who puts
//! a symbolic link where a directory was. Every step goes from the handle of a directory by one
//! name, and follows no symbolic link. Only an [`OperatorPath`] is opened in another way.
//!
//! Handles of directories are those of cap-std, which also refuses a name that leads out of its
//! directory. What it cannot do is done by rustix with the same handle: owners, attributes, devices,
//! renaming that replaces nothing, and reading without a trace in the time of access.

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
