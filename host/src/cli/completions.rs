//! `tthost completions`.

use clap::CommandFactory as _;

use super::args::{Cli, Completions};
use super::output::print;

/// Prints a completion script.
pub(super) fn completions(arguments: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tthost", &mut script);
    print(&String::from_utf8_lossy(&script));
}
