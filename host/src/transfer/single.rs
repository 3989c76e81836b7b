//! The contents of a tree's one file into a stream.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Contents, Writer};
use crate::error::{Error, Kind, Result};
use crate::operation::Receipt;
use crate::plugin::bindings::types::{self, Entry};

/// Writes the one file of a tree to a stream, and refuses a tree with more than one.
pub(crate) struct SingleWriter {
    output: Pin<Box<dyn AsyncWrite + Send>>,
    file: Option<u64>,
    bytes: u64,
}

impl SingleWriter {
    /// Writes to this.
    pub(crate) fn new(output: Pin<Box<dyn AsyncWrite + Send>>) -> Self {
        Self {
            output,
            file: None,
            bytes: 0,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output
            .write_all(bytes)
            .await
            .map_err(|cause| failed(&cause))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Writer for SingleWriter {
    fn offer(&mut self, entries: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        async move {
            for entry in entries
                .iter()
                .filter(|entry| matches!(entry.kind, types::Kind::File(_)))
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

    fn put_small(&mut self, files: Vec<(u64, bytes::Bytes)>) -> BoxFuture<'_, Result<()>> {
        async move {
            for (_, contents) in files {
                self.write(&contents).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn put(&mut self, _: u64, contents: Contents) -> BoxFuture<'_, Result<()>> {
        async move {
            while let Some(bytes) = contents.outlet.next().await {
                self.write(&bytes).await?;
            }
            contents.verdict.await
        }
        .boxed()
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<Receipt>> {
        async move {
            if self.file.is_none() {
                return Err(Error::new(Kind::NotFound, "the selection holds no file"));
            }
            self.output.flush().await.map_err(|cause| failed(&cause))?;
            Ok(Receipt {
                files_total: 1,
                bytes_total: self.bytes,
                ..Receipt::default()
            })
        }
        .boxed()
    }
}

fn failed(cause: &std::io::Error) -> Error {
    Error::new(
        Kind::Other,
        format!("the output cannot be written: {cause}"),
    )
}
