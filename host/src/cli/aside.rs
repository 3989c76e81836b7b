//! The processes in which the host does what a plugin can make costly. They are no commands for people: the host starts them.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::plugin;

/// Does such work, if that is what this process was started for.
pub(super) fn aside() -> Option<ExitCode> {
    let name = std::env::args_os().nth(1)?;
    let done = if name == plugin::COMPILE {
        plugin::compile(io::stdin(), io::stdout())
    } else if name == plugin::JUDGE {
        plugin::judge(io::stdin(), io::stdout())
    } else {
        return None;
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // If nobody can be told, the exit code has to do.
            let _ = writeln!(io::stderr(), "{fault}");
            ExitCode::FAILURE
        }
    })
}
