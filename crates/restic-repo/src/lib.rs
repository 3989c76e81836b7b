//! restic's repository format, version 2 and reading version 1, as
//! <https://restic.readthedocs.io/en/stable/100_references.html> describes it.
//!
//! The crate does no I/O and no heavy computing of its own. A [`Backend`] stores files, a
//! [`Sealer`] computes digests, compresses and encrypts, an [`Environment`] knows the time
//! and has random numbers; above them a [`Repository`] writes, reads and checks snapshots.
//!
//! | module | holds |
//! |---|---|
//! | `pack`, `index`, `tree`, `snapshot`, `config`, `key`, `lock` | one file format each |
//! | `cached` | copies, on this machine, of a repository somewhere else |
//! | `guard` | what keeps a snapshot whole where no lock can be put |
//! | `reach` | whether one file cannot be had, or nothing can |
//! | `core` | encrypted files, and what everybody shares |
//! | `blobs`, `pieces` | blobs out of packs, one by one and side by side |
//! | `walk` | all trees below some |
//! | `backup` | a tree into the repository |
//! | `restore` | a tree out of it |
//! | `check` | whether all of it is there |
//! | `prune` | away with what no snapshot needs |
#![allow(
    async_fn_in_trait,
    reason = "everything runs on one thread, in a component; no future has to be Send"
)]

mod backend;
mod backup;
mod blobs;
mod cached;
mod check;
mod config;
mod core;
mod entry;
mod environment;
mod error;
#[cfg(test)]
mod fuzz;
mod guard;
mod id;
mod index;
mod key;
mod lock;
mod pack;
mod pieces;
mod prune;
mod reach;
mod repository;
mod restore;
mod sealer;
mod snapshot;
mod tree;
mod walk;

pub use backend::{Access, Backend, FileKind, Listed};
pub use backup::{Completeness, Contents, Counts, Draft, Ending, Receipt, Writer};
pub use blobs::SealedBlob;
pub use cached::{Cached, CopyStorage, remove_copies};
pub use check::{Depth, Finding, Findings, Severity, Subset, Usage};
pub use entry::{Entry, Instant, Kind, Metadata, Xattr};
pub use environment::{Caller, Environment, Platform};
pub use error::{Error, Result};
pub use id::Id;
pub use prune::Reclaimed;
pub use repository::{Identity, Repository};
pub use restore::{Range, Reader, SealedContents, Selection};
pub use sealer::{Expectation, Sealed, Sealer};
pub use snapshot::Snapshot;
