//! `tthost completions`.

use clap::{Args, CommandFactory as _};

use super::args::Cli;
use super::output::print;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

/// Prints a completion script.
pub(super) fn completions(arguments: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tthost", &mut script);
    print(&String::from_utf8_lossy(&script));
}
