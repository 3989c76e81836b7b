//! The contents of one file on their way to one writer.

use futures::future::{BoxFuture, Shared};

use super::PipeReader;
use crate::contract::Ending;
use crate::error::Result;

/// How a file's contents ended. Every reader gets this verdict.
pub(crate) type Verdict = Shared<BoxFuture<'static, Result<Ending>>>;

/// A file's bytes, and whether they were all of them.
pub(crate) struct Content {
    /// The bytes. Their end says nothing about success.
    pub(crate) bytes: PipeReader,
    /// Only its `ok` does.
    pub(crate) verdict: Verdict,
}
