//! The process in which a plugin is compiled. It is no command for people: the host starts it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::plugin;

/// Compiles a component, if that is what this process was started for.
pub(super) fn compile() -> Option<ExitCode> {
    let is_meant = std::env::args_os().nth(1)? == plugin::COMPILE;
    is_meant.then(|| match plugin::compile(io::stdin(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // If nobody can be told, the exit code has to do.
            let _ = writeln!(io::stderr(), "{fault}");
            ExitCode::FAILURE
        }
    })
}
