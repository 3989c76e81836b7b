//! The interfaces that the host offers to plugins, one file each. `seal`'s `cutter` and `opening` have files of their
//! own.

pub mod commands;
pub mod cutter;
pub mod files;
pub mod http;
pub mod leftovers;
mod log;
mod objects;
pub mod opening;
mod progress;
pub mod seal;
mod secrets;
pub mod trees;

use super::bindings::types;
use super::state::State;

impl types::Host for State {}
