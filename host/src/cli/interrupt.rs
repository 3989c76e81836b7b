//! Ctrl-C, SIGTERM, SIGHUP, SIGQUIT, and SIGXCPU of a limit: the first signal cancels the operation, the second ends
//! the program. A daemon uses SIGHUP for something else.

use std::{fs, io};

use rustix::process::Signal as ProcessSignal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::daemon::Order;
use crate::error::{Error, Kind, Result};
use crate::interruption;
use crate::operation::Verdict;

/// The shell adds this to the number of the signal that ended a program.
const OF_SIGNALS: u8 = 128;

/// Cancels the token at the first signal.
pub(super) fn listen(cancel: &CancellationToken) -> Result<()> {
    let mut interrupt = receive(SignalKind::interrupt())?;
    let mut terminate = receive(SignalKind::terminate())?;
    let mut quit = receive(SignalKind::quit())?;
    let mut overrun = receive(SignalKind::from_raw(ProcessSignal::XCPU.as_raw()))?;
    // A file that may not grow any more is an error where it is written. The signal would end the process instead.
    drop(receive(SignalKind::from_raw(ProcessSignal::XFSZ.as_raw()))?);
    // A program under nohup must continue.
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
            let kind = tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                _ = quit.recv() => SignalKind::quit(),
                _ = overrun.recv() => SignalKind::from_raw(ProcessSignal::XCPU.as_raw()),
                _ = hung_up => SignalKind::hangup(),
            };
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            if cancel.is_cancelled() {
                std::process::exit((OF_SIGNALS + number).into());
            }
            interruption::catch(number);
            info!("interrupted: stopping; interrupt again to stop at once");
            cancel.cancel();
        }
    });
    Ok(())
}

/// The verdict on a command that came to this one: a signal makes an interruption of all of them, also one that came when
/// there was only something left to tidy up.
pub(super) fn judge(verdict: Verdict) -> Verdict {
    match interruption::caught() {
        None => verdict,
        Some(_) => Verdict::Failed(Kind::Cancelled),
    }
}

/// The exit code of a verdict: of an interruption 128 and the number of the signal.
pub(super) fn exit_code(verdict: Verdict) -> u8 {
    match (verdict, interruption::caught()) {
        (Verdict::Failed(Kind::Cancelled), Some(signal)) => OF_SIGNALS + signal,
        _ => verdict.exit_code(),
    }
}

/// The meaning of signals for a daemon.
pub(super) fn orders() -> Result<mpsc::Receiver<Order>> {
    let mut interrupt = receive(SignalKind::interrupt())?;
    let mut terminate = receive(SignalKind::terminate())?;
    let mut quit = receive(SignalKind::quit())?;
    let mut hangup = receive(SignalKind::hangup())?;
    let (orders, received) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let order = tokio::select! {
                _ = interrupt.recv() => Order::Stop,
                _ = terminate.recv() => Order::Stop,
                _ = quit.recv() => Order::Stop,
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
