//! Trees of files on disk.
//!
//! What this defends against: a snapshot that was made to write elsewhere, and somebody who puts
//! a symbolic link where a directory was. Every step goes from the handle of a directory by one
//! name, and follows no symbolic link.

mod disk_dir;
mod metadata;
mod names;
mod read_dir;
mod restore;
mod root;
mod sparse;
mod target_dir;

pub(crate) use disk_dir::DiskDir;
pub(crate) use read_dir::{FileReader, ReadDir, Stamp};
pub(crate) use restore::{DryRun, RestoreOptions, TreeWriter, failed as unrestored};
pub(crate) use root::Root;
pub(crate) use target_dir::TargetDir;
