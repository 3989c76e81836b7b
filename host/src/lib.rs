//! The backup host: loads sandboxed source and sink components, grants them what
//! the configuration says and nothing else, and streams trees between them.
//!
//! The library never touches the terminal; [`cli`] does, and nothing else.

pub mod contract;
pub mod error;
pub mod event;
mod interruption;
pub mod journal;
mod json;
mod operator_file;
mod own_file;
mod pipe;
pub mod snapshot;
mod stderr;
mod text;
mod throttle;

pub mod net;
mod tree;

pub mod grant;
mod operator_program;
mod registry;

pub mod confine;

pub mod plugin;

mod transfer;

pub mod retention;
pub mod schedule;
mod volume;

pub mod operation;

pub mod daemon;
pub mod history;
pub mod notify;
pub mod timer;

pub mod config;

pub mod cli;
