//! Whether a plugin keeps the contract: one named check for each rule.
//!
//! The suite knows the rules and nothing of how a plugin is run. It drives the plugin through the traits of [`host`], which
//! speak of plugins as the contract does. The program `tthost` implements them for components; anything else that can call a plugin can too.
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | what plugins and hosts speak of: entries, snapshots, errors |
//! | [`host`] | what the suite asks of whoever runs the plugin |
//! | `tree` | trees that are stored and compared, with contents that are made up |
//! | `lab` | what checks have in common: making a store, storing a tree, reading it back |
//! | `objects` | the same for stores of objects |
//! | `files` | the files in which a plugin stores: compared, damaged |
//! | `checks` | the rules, one file a group |
//! | `quick` | those of them that take a moment |
//! | `suite` | runs them, and what came of it |

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
