//! The conformance suite: one named check for each rule of the contract.
//!
//! The suite knows the rules, and does not know how a plugin is run. It drives the plugin through the traits of
//! [`host`]. The program `tthost` implements them for components. Anything else that can call a plugin can do so too.
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | the types of the contract: entries, snapshots, errors |
//! | [`host`] | the traits that a host implements |
//! | `tree` | trees for tests, with generated contents |
//! | `lab` | what checks share: creating a store, storing a tree, reading it back |
//! | `objects` | the same for object stores |
//! | `files` | the files of a plugin's store |
//! | `checks` | the checks, one file per group |
//! | `quick` | the checks that take a moment |
//! | `suite` | runs the checks and collects their results |

mod checks;
mod files;
pub mod host;
mod lab;
pub mod model;
mod objects;
mod quick;
mod suite;
mod tree;

pub use quick::QUICK;
pub use suite::{Check, Checked, Group, Options, Status, Stop, Verdict, checks, run};
pub use tree::Body;
