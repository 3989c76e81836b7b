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
//! | `cached` | local copies of a remote repository |
//! | `guard` | protects a snapshot that is written without a lock |
//! | `isolating` | tells a lost file from a lost repository |
//! | `core` | the shared state, and encrypted files |
//! | `blobs`, `pieces` | reads blobs from packs |
//! | `walk` | walks all trees below some roots |
//! | `backup` | writes a tree into the repository |
//! | `restore` | reads a tree from it |
//! | `check` | checks the repository |
//! | `prune` | removes snapshots and unneeded data |
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
mod isolating;
mod key;
mod lock;
mod pack;
mod pieces;
mod prune;
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
