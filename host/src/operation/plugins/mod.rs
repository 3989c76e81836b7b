//! Third-party plugins: fetches and describes them without grants, installs, verifies, updates and publishes them,
//! and creates and builds plugin projects.
//!
//! A run does none of this. It uses the installed file.

mod around;
mod change;
pub mod develop;
mod fetch;
mod install;
mod pin;
mod project;
mod push;
mod remove;
mod replace;
mod verify;

pub use around::around;
pub use change::{Changes, compare};
pub use fetch::{Candidate, ComponentLocation, fetch};
pub use install::{Installed, Plan, file_name, install, unchanged};
pub use pin::{Pin, pin};
pub use project::{Created, Language, Project, create};
pub use push::{Pushed, push};
pub use remove::{Removal, Removed, remove};
pub use verify::{Checked, InUse, Offered, Report, Upstream, verify};

pub use crate::registry::{Access, CredentialStore, Digest, Reference};
