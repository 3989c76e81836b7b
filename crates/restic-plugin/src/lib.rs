//! What the sinks that store in a restic repository have in common: the contract's exports on
//! top of `restic-repo`, for any [`Storage`] where repositories can be.
//!
//! The format is that of `restic-repo`; here is what it stands on: the host's `seal` interface
//! ([`compute`]), clock and random numbers ([`platform`]), directories ([`directory`]) and stores of objects ([`objects`]).

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
