//! A snapshot back to where it came from, or somewhere else.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use super::caller::caller;
use super::snapshot::{Snapshot, Which, pick};
use super::store::Store;
use crate::error::Result;
use crate::plugin::bindings::sink::exports::tthost::backup::sink::Selection;
use crate::plugin::bindings::source::exports::tthost::backup::source::Restoration;
use crate::plugin::{Instance, Spec};
use crate::transfer::{
    DirectoryWriter, PluginWriter, Reader, Rehearsal, SingleWriter, Writer, transfer,
};

/// A snapshot, or part of it, to be put somewhere.
pub struct Restore {
    /// The store that has it.
    pub sink: Spec,
    /// Which one.
    pub which: Which,
    /// Only what is at or below these paths; all when empty.
    pub paths: Vec<Vec<u8>>,
    /// Where to.
    pub target: Target,
    /// Say what would happen, change nothing.
    pub dry_run: bool,
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
    /// How long it took.
    pub duration: Duration,
}

/// Puts a snapshot, or part of it, somewhere.
pub async fn restore(context: &Context, restore: Restore) -> Result<RestoreReport> {
    let started = Instant::now();
    let store = Store::open(context, &restore.sink).await?;
    let restored = async {
        let snapshot = pick(&store, &restore.which).await?;
        let reader = read(&store, &snapshot, restore.paths, restore.sink.limits.output).await?;
        let writer = writer(context, restore.target, restore.dry_run).await?;
        let mut moved = transfer(reader, vec![writer], &*context.events).await?;
        moved.receipts.remove(0)?;
        Ok(RestoreReport {
            snapshot,
            files: moved.files,
            bytes: moved.bytes,
            duration: started.elapsed(),
        })
    };
    store.use_and_close(context, restored).await
}

async fn read(
    store: &Store,
    snapshot: &Snapshot,
    paths: Vec<Vec<u8>>,
    limit: Option<u64>,
) -> Result<Reader> {
    let repository = store.repository();
    let selection = Selection {
        snapshot: snapshot.id.clone(),
        paths,
    };
    let reader = store
        .plugin()
        .call(move |accessor, exports| {
            Box::pin(async move {
                exports
                    .sink()?
                    .tthost_backup_sink()
                    .repository()
                    .call_read(accessor, repository, selection)
                    .await
            })
        })
        .await?;
    Ok(Reader::new(store.plugin().clone(), reader, limit))
}

async fn writer(context: &Context, target: Target, dry_run: bool) -> Result<Box<dyn Writer>> {
    Ok(match target {
        Target::Source { spec, place } => {
            let source = Instance::start(&context.runtime, &spec, context.events.clone()).await?;
            let config = serde_json::Value::Object(spec.config.clone()).to_string();
            let restoration = Restoration {
                target: place,
                dry_run,
            };
            let writer = source
                .call(move |accessor, exports| {
                    Box::pin(async move {
                        exports
                            .source()?
                            .tthost_backup_source()
                            .call_restore(accessor, caller(), config, restoration)
                            .await
                    })
                })
                .await?;
            Box::new(PluginWriter::new(Arc::new(source), writer))
        }
        Target::Directory(_) | Target::Stream(_) if dry_run => Box::new(Rehearsal),
        Target::Directory(path) => Box::new(DirectoryWriter::new(&path, context.events.clone())?),
        Target::Stream(output) => Box::new(SingleWriter::new(output)),
    })
}
