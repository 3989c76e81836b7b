//! The common part of all sinks with restic repositories: the exports of the contract on top of
//! `restic-repo`, for any [`Storage`].
//!
//! `restic-repo` implements the format. This crate gives it the host's `seal` interface ([`compute`]),
//! clock and random numbers ([`platform`]), directories ([`directory`]) and object stores ([`objects`]).

mod abandoned;
pub mod bindings;
pub mod compute;
mod convert;
pub mod directory;
mod fault;
mod file_data;
pub mod objects;
pub mod platform;
pub mod probe;
mod sink;
mod transfer;

pub use directory::Directory;
pub use objects::ObjectStore;
pub use sink::{Plugin, Storage, Store, password};
pub use transfer::{SnapshotReader, SnapshotWriter};
