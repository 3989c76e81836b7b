//! What an operator does, each as one function: back up, list, restore, copy, check, prune, probe,
//! create.

mod backup;
mod check;
mod copy;
mod create;
mod probe;
mod prune;
mod restore;
mod snapshot;

pub use crate::contract::{Answer, Class, Depth, Findings, Freed, Identity, Receipt, Rights};
pub use crate::plugin::Context;
pub use crate::snapshot::{Filter, Snapshot, Which};
pub use backup::{Backup, BackupReport, backup};
pub use check::check;
pub use copy::{Copied, Copy, Wanted, copy};
pub use create::create;
pub use probe::probe;
pub use prune::{Judged, Prune, PruneReport, Pruned, prune};
pub use restore::{Restore, RestoreReport, Target, restore};
pub use snapshot::{find, snapshots};
