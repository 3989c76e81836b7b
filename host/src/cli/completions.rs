//! `tthost completions`.

use clap::{Args, CommandFactory as _};

use super::args::Cli;
use super::output::Answer;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

/// A completion script.
pub(super) fn completions(arguments: &Completions) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tthost", &mut script);
    Answer::text(String::from_utf8_lossy(&script).into_owned())
}
