//! Builds and tests a plugin project, and repeats that when a file changes.
//!
//! The build runs with the developer's permissions and environment. Its result is a plugin like any other.

mod build;
mod watch;

pub use build::{Project, build};
pub use watch::Watch;
