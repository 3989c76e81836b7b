//! Plugins of others: they are fetched and looked at without any authority, taken in with what the operator grants them,
//! compared with their pins, exchanged for newer ones, and published. And projects for new ones: made, and built while somebody works on them.
//!
//! A run does none of this. It uses the file that was taken in, or nothing.

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
pub use fetch::{Candidate, Place, fetch};
pub use install::{Installed, Plan, file_name, install, unchanged};
pub use pin::{Pin, pin};
pub use project::{Created, Language, Project, create};
pub use push::{Pushed, push};
pub use remove::{Removal, Removed, remove};
pub use verify::{Checked, InUse, Offered, Report, Upstream, verify};

pub use crate::registry::{Access, CredentialStore, Digest, Reference};
