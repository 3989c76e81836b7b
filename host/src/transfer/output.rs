//! A stream that contents are written to.

use std::io::{self, Write};

use crate::error::{Error, Kind, Result};

/// A stream, written to where that may block.
pub(super) struct Output {
    /// None after it failed.
    stream: Option<Box<dyn Write + Send>>,
    written: u64,
}

impl Output {
    /// Writes to this.
    pub(super) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self {
            stream: Some(stream),
            written: 0,
        }
    }

    /// Bytes that were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes these bytes.
    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<()> {
        let length = bytes.as_ref().len() as u64;
        self.with_stream(move |stream| stream.write_all(bytes.as_ref()))
            .await?;
        self.written += length;
        Ok(())
    }

    /// Flushes the output. Called when it is complete.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.with_stream(Write::flush).await
    }

    async fn with_stream(
        &mut self,
        action: impl FnOnce(&mut Box<dyn Write + Send>) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let Some(mut stream) = self.stream.take() else {
            return Err(failed("it failed before"));
        };
        let done = tokio::task::spawn_blocking(move || action(&mut stream).map(|()| stream)).await;
        let stream = done.map_err(failed)?;
        let stream = stream.map_err(|cause| Error::of_system(UNWRITTEN, cause))?;
        self.stream = Some(stream);
        Ok(())
    }
}

/// The message for an output that fails.
const UNWRITTEN: &str = "the output cannot be written";

fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Other, UNWRITTEN).caused_by(cause)
}
