//! Writes the contents of a tree's only file to a stream.

use std::collections::HashSet;
use std::io::Write;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::sync::Mutex;

use super::Writer;
use super::output::Output;
use crate::contract::{Batch, Completeness, Ending, EntryKind, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;

/// Writes the one file of a tree to a stream, and refuses a tree with more than one.
pub(crate) struct SingleWriter {
    file: Option<u64>,
    output: Mutex<Output>,
}

impl SingleWriter {
    /// Writes to this.
    pub(crate) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self {
            file: None,
            output: Mutex::new(Output::new(stream)),
        }
    }
}

impl Writer for SingleWriter {
    fn concurrency(&self, _: u32) -> BoxFuture<'_, Result<u32>> {
        ready(Ok(1)).boxed()
    }

    fn offer(&mut self, entries: Batch) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            for entry in entries
                .iter()
                .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
            {
                if self.file.replace(entry.id).is_some() {
                    return Err(
                        Error::new(Kind::Config, "the selection holds more than one file")
                            .help("name one with --path, or restore to a directory"),
                    );
                }
            }
            Ok(self
                .file
                .filter(|id| entries.iter().any(|entry| entry.id == *id))
                .into_iter()
                .collect())
        }
        .boxed()
    }

    fn put_small(&mut self, files: Vec<SmallFile>) -> BoxFuture<'_, Result<()>> {
        async move {
            for file in files {
                let contents = file.contents().ok_or_else(omitted)?.clone();
                self.output.get_mut().write(contents).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn put(&self, _: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut output = self.output.lock().await;
            while let Some(bytes) = content.bytes.next().await {
                output.write(bytes).await?;
            }
            match content.verdict.await? {
                Ending::Whole | Ending::Changed => Ok(()),
                Ending::Omitted => Err(omitted()),
            }
        }
        .boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        async move {
            if self.file.is_none() {
                return Err(Error::new(Kind::NotFound, "the selection holds no file"));
            }
            let mut output = self.output.into_inner();
            output.flush().await?;
            Ok(Receipt {
                files_total: 1,
                bytes_total: output.written(),
                ..Receipt::default()
            })
        }
        .boxed()
    }
}

fn omitted() -> Error {
    Error::new(Kind::NotFound, "the contents of the file are missing")
}
