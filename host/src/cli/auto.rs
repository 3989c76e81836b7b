//! `tthost auto`.

use clap::Args;

use super::args::Global;
use super::output::{Answer, Output};
use super::schedule::{self, Install, Remove};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Auto {
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
    /// No longer back up on time
    #[arg(long, conflicts_with = "offsite")]
    disable: bool,
    /// Print what would be written, and write nothing
    #[arg(long, conflicts_with = "disable")]
    dry_run: bool,
}

/// Installs the schedule of all jobs, or removes it.
pub(super) fn auto(global: &Global, arguments: &Auto, output: &Output) -> Result<Answer> {
    if arguments.disable {
        return schedule::remove(global, &Remove::default(), output);
    }
    let install = Install {
        offsite: arguments.offsite,
        dry_run: arguments.dry_run,
        ..Install::default()
    };
    schedule::install(global, install, output)
}
