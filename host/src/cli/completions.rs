//! `tthost completions`.

use clap::CommandFactory as _;

use super::args::{Cli, Completions};
use super::output::print;
use crate::error::Result;

/// Prints a completion script.
pub(super) fn completions(arguments: &Completions) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tthost", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(0)
}
