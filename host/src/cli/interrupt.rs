//! Ctrl-C and SIGTERM: the first ends the operation in good order, the second the program.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::error::{Error, Kind, Result};

/// Cancels the token at the first signal.
pub(super) fn listen(cancel: &CancellationToken) -> Result<()> {
    let failed =
        |cause: io::Error| Error::new(Kind::Other, "cannot receive signals").caused_by(cause);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if cancel.is_cancelled() {
                std::process::exit(Kind::Cancelled.exit_code().into());
            }
            info!("interrupted: stopping; interrupt again to stop at once");
            cancel.cancel();
        }
    });
    Ok(())
}
