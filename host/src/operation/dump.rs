//! Writes a file or a directory of a snapshot to a stream.

use std::io::Write;
use std::time::{Duration, Instant};

use tracing::instrument;
use vec1::Vec1;

use super::snapshot::{depth, pick, within};
use super::{Context, Snapshot, SnapshotRef, access, open};
use crate::contract;
use crate::error::Result;
use crate::plugin::Spec;
use crate::transfer;

/// A part of a snapshot that is to be written to a stream.
pub struct Plan {
    /// The store that has it.
    pub sink: Spec,
    /// Which snapshot.
    pub snapshot: SnapshotRef,
    /// The folder of it that is taken for its top.
    pub folder: Option<Vec<u8>>,
    /// A file, whose bytes are written, or a directory, which becomes a tar archive.
    pub path: Vec<u8>,
    /// Where they go.
    pub output: Box<dyn Write + Send>,
}

/// The written output.
#[derive(Clone, Debug)]
pub struct Dumped {
    /// The snapshot that was read.
    pub snapshot: Snapshot,
    /// Files that were written.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Writes a file's bytes, or a directory as a tar archive.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "dump"))]
pub async fn dump(context: &Context, plan: Plan) -> Result<Dumped> {
    let started = Instant::now();
    let repository = open(context, &plan.sink, access(false)).await?;
    let dumped = async {
        let snapshot = pick(&repository, &plan.snapshot).await?;
        let folder = plan.folder.as_deref();
        let path = within(folder, &plan.path);
        let depths = (depth(folder.unwrap_or_default()), depth(&path));
        let selection = contract::Selection {
            snapshot: snapshot.id.clone(),
            paths: (depths.1 > 0).then(|| Vec1::new(path)),
            levels: None,
            skip_damaged: false,
        };
        let reader = repository.read(selection).await?;
        let dumping = transfer::dump(Box::new(reader), depths, plan.output, &*context.events);
        let transfer::Dumped { files, bytes } = dumping.await?;
        Ok(Dumped {
            snapshot,
            files,
            bytes,
            duration: started.elapsed(),
        })
    };
    Box::pin(repository.use_and_close(context, dumped)).await
}
