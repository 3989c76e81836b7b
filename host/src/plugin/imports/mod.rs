//! The interfaces that the host offers to plugins, one file each.

pub mod commands;
mod log;
mod progress;
pub mod seal;
mod secrets;

use super::bindings::types;
use super::state::State;

impl types::Host for State {}
