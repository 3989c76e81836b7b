//! Asking before something is overwritten.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::error::{Error, Kind, Result};

/// Asks, and takes nothing but a clear yes. Without a terminal there is nobody to ask, and
/// then nothing is done.
pub(super) fn confirm(question: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            Kind::Config,
            format!("{question} There is no terminal to ask on, so nothing was done"),
        )
        .help("give --yes to overwrite without this question"));
    }
    let failed =
        |cause: io::Error| Error::new(Kind::Other, "the answer cannot be read").caused_by(cause);
    let mut terminal = io::stderr();
    write!(terminal, "{question} Continue? [y/N] ")
        .and_then(|()| terminal.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Kind::Cancelled, "nothing was done")),
    }
}
