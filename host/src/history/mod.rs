//! What this machine remembers of its runs: `history.sqlite` in the state directory.
//!
//! | module | holds |
//! |---|---|
//! | `record` | a run and its parts |
//! | `account` | from an operation's report to parts |
//! | `store` | the database: what is written and what is asked |
//! | `database` | the file: its schema, and what happens when it is damaged |
//! | `alive` | which runs are still going on |
//! | `status` | how each source stands in each sink |
//!
//! The history is there for people. Nothing that goes wrong with it fails a backup.

mod account;
mod alive;
mod database;
mod record;
mod status;
mod store;

pub use account::Account;
pub use record::{Activity, Detail, Part, Problem, Run, State, Subject, Thing};
pub(crate) use status::sets;
pub use status::{Delivery, Expected, ExpectedJob, Last, Set, SetState, SinkStatus, Status};
pub use store::{Filter, History, Line, Listed, Log, Ticket, Trouble, TroubleKind};
