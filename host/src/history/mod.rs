//! What this machine remembers of its runs: `history.sqlite` in the state directory.
//!
//! | module | holds |
//! |---|---|
//! | `record` | a run and its parts |
//! | turns the report of an operation into parts |
//! | writes the history |
//! | queries |
//! | `open_alert` | alerts that were sent and have no recovery yet |
//! | assigns runs to configurations |
//! | `database` | the file: its schema, and what happens when it is damaged |
//! | a temporary copy, where the file is read-only |
//! | locks of runs that are under way |
//! | the status of each source in each sink |
//!
//! The history is there for people. Nothing that goes wrong with it fails a backup.

mod account;
mod alive;
mod configuration;
mod copy;
mod database;
mod open_alert;
mod query;
mod record;
mod status;
mod store;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use configuration::Configuration;
pub use open_alert::{AlertKind, OpenAlert};
pub use query::{Filter, Line, Listed, Log};
pub use record::{Activity, Detail, Part, PartKey, PlannedRun, RecordedError, Run, State};
pub(crate) use status::sets;
pub use status::{Delivery, Expected, ExpectedJob, Last, Set, SetState, SinkStatus, Status};
pub use store::{History, RunHandle};
