//! The contents of one file on their way to one writer.

use super::pipe::Outlet;
use crate::plugin::streams::Verdict;

/// A file's bytes, and whether they were all of them.
pub(crate) struct Contents {
    /// The bytes. Their end says nothing about success.
    pub(crate) outlet: Outlet,
    /// Only its `ok` does.
    pub(crate) verdict: Verdict,
}
