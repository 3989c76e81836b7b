//! What this machine remembers of its runs: `history.sqlite` in the state directory.
//!
//! | module | holds |
//! |---|---|
//! | `record` | a run and its parts |
//! | `account` | from an operation's report to parts |
//! | `store` | what is written |
//! | `query` | what is asked |
//! | `trouble` | what was told and is not over |
//! | `configuration` | whose a run is |
//! | `database` | the file: its schema, and what happens when it is damaged |
//! | `copy` | the file where nothing can be written |
//! | `alive` | which runs are still going on |
//! | `status` | how each source stands in each sink |
//!
//! The history is there for people. Nothing that goes wrong with it fails a backup.

mod account;
mod alive;
mod configuration;
mod copy;
mod database;
mod query;
mod record;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod trouble;

pub use account::Account;
pub use configuration::Configuration;
pub use query::{Filter, Line, Listed, Log};
pub use record::{Activity, Detail, Part, Problem, Run, State, Subject, Thing};
pub(crate) use status::sets;
pub use status::{Delivery, Expected, ExpectedJob, Last, Set, SetState, SinkStatus, Status};
pub use store::{History, Ticket};
pub use trouble::{Trouble, TroubleKind};
