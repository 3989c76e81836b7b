//! The backup host: loads sandboxed source and sink components, grants them what
//! the configuration says and nothing else, and streams trees between them.
//!
//! The library never touches the terminal; [`cli`] does, and nothing else.

pub mod cli;
pub mod config;
mod egress;
pub mod error;
pub mod event;
pub mod grant;
pub mod operation;
pub mod plugin;
pub mod retention;
mod transfer;
mod tree;
mod volume;
