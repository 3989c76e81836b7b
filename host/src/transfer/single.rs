//! The contents of a tree's one file into a stream.

use std::collections::HashSet;
use std::io::Write;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::sync::Mutex;

use super::Writer;
use crate::contract::{Batch, Completeness, Ending, EntryKind, Receipt, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::pipe::Content;

/// Where one file can go.
pub(crate) type Output = Box<dyn Write + Send>;

/// Writes the one file of a tree to a stream, and refuses a tree with more than one.
pub(crate) struct SingleWriter {
    file: Option<u64>,
    written: Mutex<Written>,
}

/// How far the output has come.
struct Written {
    /// None after it failed.
    output: Option<Output>,
    bytes: u64,
}

impl SingleWriter {
    /// Writes to this.
    pub(crate) fn new(output: Output) -> Self {
        Self {
            file: None,
            written: Mutex::new(Written {
                output: Some(output),
                bytes: 0,
            }),
        }
    }
}

impl Written {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.use_output(move |output| output.write_all(&bytes))
            .await
    }

    /// Uses the output where it may block.
    async fn use_output(
        &mut self,
        action: impl FnOnce(&mut Output) -> std::io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let Some(mut output) = self.output.take() else {
            return Err(failed("it failed before"));
        };
        let done = tokio::task::spawn_blocking(move || action(&mut output).map(|()| output)).await;
        let output = done.map_err(failed)?.map_err(failed)?;
        self.output = Some(output);
        Ok(())
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
                self.written.get_mut().write(contents).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn put(&self, _: u64, content: Content) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut written = self.written.lock().await;
            while let Some(bytes) = content.bytes.next().await {
                written.write(bytes).await?;
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
            let mut written = self.written.into_inner();
            written.use_output(Write::flush).await?;
            Ok(Receipt {
                files_total: 1,
                bytes_total: written.bytes,
                ..Receipt::default()
            })
        }
        .boxed()
    }
}

fn omitted() -> Error {
    Error::new(Kind::NotFound, "the contents of the file are missing")
}

fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Other, "the output cannot be written").caused_by(cause)
}
