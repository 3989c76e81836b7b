//! Ctrl-C, SIGTERM, SIGHUP and SIGQUIT: the first ends the operation in good order, the second the program. To a daemon
//! SIGHUP says something else.

use std::{fs, io};

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
    let mut quit = receive(SignalKind::quit())?;
    // Whoever starts a program with nohup wants it to go on.
    let mut hangup = (!ignores(SignalKind::hangup()))
        .then(|| receive(SignalKind::hangup()))
        .transpose()?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = quit.recv() => {}
                _ = hung_up => {}
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

/// Whether this process was started so that a signal does nothing.
fn ignores(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

fn receive(kind: SignalKind) -> Result<Signal> {
    let failed =
        |cause: io::Error| Error::new(Kind::Other, "cannot receive signals").caused_by(cause);
    signal(kind).map_err(failed)
}
