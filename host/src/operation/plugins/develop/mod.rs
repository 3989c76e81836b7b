//! The project of a plugin while somebody works on it: built as it says, and again when a file of it has changed.
//!
//! Building is the developer's own doing, with what the developer's shell has. What comes of it is a plugin like any other.

mod build;
mod watch;

pub use build::{Project, build};
pub use watch::Watch;
