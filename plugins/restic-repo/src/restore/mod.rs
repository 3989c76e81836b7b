//! A tree out of the repository.

mod contents;
mod reader;

pub use contents::Bytes;
pub use reader::{Reader, Selection};
