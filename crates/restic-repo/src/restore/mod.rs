//! Reads a tree from the repository.

mod census;
mod contents;
mod omissions;
mod reader;

pub use contents::SealedContents;
pub(crate) use reader::DEEPEST;
pub use reader::{Range, Reader, Selection};
