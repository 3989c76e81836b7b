//! Trees of files on disk.
//!
//! What this defends against: a snapshot that was made to write elsewhere, and somebody who puts
//! a symbolic link where a directory was. Every step goes from the handle of a directory by one
//! name, and follows no symbolic link.

mod disk;
mod metadata;
mod names;
mod place;
mod root;
mod sparse;
mod view;

pub(crate) use disk::DiskView;
pub(crate) use metadata::{Object, Shortfall, settle};
pub(crate) use place::{Before, Place};
pub(crate) use root::Root;
pub(crate) use sparse::SparseFile;
pub(crate) use view::{Contents, Stamp, View};
