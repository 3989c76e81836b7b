//! A snapshot back to where it came from, or somewhere else.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tthost_patterns::Patterns;

use super::snapshot::pick;
use super::{Context, Snapshot, Which};
use crate::contract::{Completeness, Selection};
use crate::error::{Error, Kind, Result};
use crate::grant::Place;
use crate::plugin::{self, Repository, Restoration, Spec};
use crate::transfer::{Filter, Rehearsal, SingleWriter, Writer, transfer};
use crate::tree::{DryRun, RestoreOptions, TargetDir, TreeWriter, unrestored};
use crate::volume::{self, Hold};

/// A snapshot, or part of it, to be put somewhere.
pub struct Restore {
    /// The store that has it.
    pub sink: Spec,
    /// Which one.
    pub which: Which,
    /// Only what is at or below these paths; all when empty.
    pub paths: Vec<Vec<u8>>,
    /// Of that, only what these patterns take; all when none.
    pub patterns: Option<Patterns>,
    /// Where to.
    pub target: Target,
    /// Tell what would change ([`crate::event::Events::planned`]), change nothing.
    pub dry_run: bool,
    /// Remove what is there and not in the snapshot.
    pub delete: bool,
    /// Read back what was written and compare it.
    pub verify: bool,
}

/// Where a restored tree goes.
pub enum Target {
    /// Back through a source, to another place than it came from when one is named.
    Source {
        /// The source that takes it.
        spec: Box<Spec>,
        /// What the source calls the place: a database, a directory.
        place: Option<String>,
    },
    /// Into a directory, which is created when it is missing.
    Directory(PathBuf),
    /// The contents of the one file that the selection holds.
    Stream(Box<dyn Write + Send>),
}

/// How a restoration went.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RestoreReport {
    /// The snapshot that was read.
    pub snapshot: Snapshot,
    /// Files that were restored, or would have been.
    pub files: u64,
    /// Their bytes; 0 in a dry run, which reads none.
    pub bytes: u64,
    /// Things that were not there, where the target knows.
    pub created: u64,
    /// Things that were there and were replaced or set anew, where the target knows.
    pub replaced: u64,
    /// Things that were removed.
    pub removed: u64,
    /// Whether everything came that was selected.
    pub complete: bool,
    /// How long it took.
    pub duration: Duration,
}

/// Puts a snapshot, or part of it, somewhere.
pub async fn restore(context: &Context, restore: Restore) -> Result<RestoreReport> {
    let started = Instant::now();
    let mut restore = restore;
    let repository = Repository::open(context, &restore.sink).await?;
    let mut hold = Hold::default();
    let mut subject = String::new();
    let mut prepared = Ok(());
    if let Target::Source { spec, .. } = &mut restore.target {
        subject = spec.subject();
        prepared = volume::prepare(context, spec, restore.dry_run, &mut hold).await;
        if prepared.is_ok() && !restore.dry_run {
            prepared = make_directories(spec);
        }
    }
    let restored = async {
        prepared?;
        let snapshot = pick(&repository, &restore.which).await?;
        let selection = Selection {
            snapshot: snapshot.id.clone(),
            paths: restore.paths.clone(),
        };
        let reader = repository.read(selection).await?;
        let patterns = restore.patterns.clone();
        let selective = patterns.is_some();
        let mut writer = writer(context, restore, &snapshot).await?;
        if let Some(patterns) = patterns {
            writer = Box::new(Filter::new(patterns, writer));
        }
        let mut moved = transfer(Box::new(reader), vec![writer], &*context.events).await?;
        let receipt = moved.receipts.remove(0)?;
        Ok(RestoreReport {
            snapshot,
            // With patterns, more files come than pass them.
            files: if selective {
                receipt.files_total
            } else {
                moved.files
            },
            bytes: moved.bytes,
            created: receipt.files_new,
            replaced: receipt.files_changed,
            removed: receipt.removed,
            complete: moved.completeness == Completeness::Complete,
            duration: started.elapsed(),
        })
    };
    let restored = Box::pin(repository.use_and_close(context, restored)).await;
    let aftermath = hold.release(context, &subject).await;
    match aftermath.into_iter().next() {
        Some(error) if restored.is_ok() => Err(error),
        _ => restored,
    }
}

/// Makes the directories that a source is restored into, where they are missing.
fn make_directories(spec: &Spec) -> Result<()> {
    let places = spec.grants.trees.values().flat_map(|tree| &tree.places);
    for Place { path, .. } in places {
        std::fs::create_dir_all(path).map_err(|cause| {
            let text = format!("{} cannot be created: {cause}", path.display());
            Error::new(Kind::Denied, text).of(spec.subject())
        })?;
    }
    Ok(())
}

async fn writer(
    context: &Context,
    restore: Restore,
    snapshot: &Snapshot,
) -> Result<Box<dyn Writer>> {
    let events = context.events.clone();
    let Restore {
        target,
        dry_run,
        delete,
        verify,
        ..
    } = restore;
    Ok(match target {
        Target::Source { spec, place } => {
            let restoration = Restoration {
                target: place,
                paths: snapshot.paths.clone(),
                dry_run,
                delete,
                verify,
            };
            Box::new(plugin::restore(context, &spec, restoration).await?)
        }
        Target::Directory(path) if dry_run => {
            let directory = match TargetDir::root(&path) {
                Ok(directory) => Some(directory),
                Err(cause) if cause.kind() == ErrorKind::NotFound => None,
                Err(cause) => return Err(unrestored(&path, &cause)),
            };
            Box::new(DryRun::new(directory, &path, delete, events))
        }
        Target::Directory(path) => {
            let root = std::fs::create_dir_all(&path).and_then(|()| TargetDir::root(&path));
            let root = root.map_err(|cause| unrestored(&path, &cause))?;
            let options = RestoreOptions { delete, verify };
            Box::new(TreeWriter::new(root, &path, options, events))
        }
        Target::Stream(_) if dry_run => Box::new(Rehearsal),
        Target::Stream(output) => Box::new(SingleWriter::new(output)),
    })
}
