//! Ctrl-C and SIGTERM: the first ends the operation in good order, the second the program. To a daemon
//! SIGHUP says something too.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::daemon::Order;
use crate::error::{Error, Kind, Result};

/// Cancels the token at the first signal.
pub(super) fn listen(cancel: &CancellationToken) -> Result<()> {
    let mut interrupt = receive(SignalKind::interrupt())?;
    let mut terminate = receive(SignalKind::terminate())?;
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

/// What signals tell a daemon.
pub(super) fn orders() -> Result<mpsc::Receiver<Order>> {
    let mut interrupt = receive(SignalKind::interrupt())?;
    let mut terminate = receive(SignalKind::terminate())?;
    let mut hangup = receive(SignalKind::hangup())?;
    let (orders, received) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let order = tokio::select! {
                _ = interrupt.recv() => Order::Stop,
                _ = terminate.recv() => Order::Stop,
                _ = hangup.recv() => Order::Reload,
            };
            // Who no longer listens is ending already.
            let _ = orders.send(order).await;
        }
    });
    Ok(received)
}

fn receive(kind: SignalKind) -> Result<Signal> {
    let failed =
        |cause: io::Error| Error::new(Kind::Other, "cannot receive signals").caused_by(cause);
    signal(kind).map_err(failed)
}
