//! Describes a trap of a plugin to the operator.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use wasmtime::Trap;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use super::seconds;
use crate::error::{Error, Kind};
use crate::text::printable;

/// The data for a report about the failure of a plugin.
#[derive(Clone)]
pub(super) struct ExitReport {
    pub(super) subject: Arc<str>,
    pub(super) stderr: MemoryOutputPipe,
    pub(super) cpu_slice: Duration,
    /// Bytes that one call may carry.
    pub(super) crossing: usize,
}

/// Below this line, the cause holds the call stack of the host, which does not concern the plugin.
const OWN_BACKTRACE: &str = "Stack backtrace:";

/// The message of wasmtime for a call that passes too much data to the host.
const CROSSING_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

impl ExitReport {
    /// How the plugin broke down, for the operator: the cause, and the last that it wrote to
    /// standard error, where a panic says what happened. The whole of it goes to the log.
    pub(super) fn explain(&self, cause: &wasmtime::Error) -> Error {
        let told = format!("{cause:?}");
        for line in told.lines().take_while(|line| *line != OWN_BACKTRACE) {
            debug!(subject = &*self.subject, "{}", printable(line));
        }
        if let Some(Trap::Interrupt) = cause.downcast_ref::<Trap>() {
            let limit = seconds(self.cpu_slice);
            return Error::new(
                Kind::Plugin,
                format!("it computed for {limit} without giving or taking anything"),
            )
            .help("this is a bug in the plugin, unless limits.cpu-slice is too low");
        }
        let cause = printable(&cause.root_cause().to_string());
        if cause.contains(CROSSING_EXHAUSTED) {
            let text = format!("it gave more than {} bytes in one call", self.crossing);
            return Error::new(Kind::Plugin, text)
                .help("raise limits.memory if it has to; one call may give an eighth of that");
        }
        let said = self.stderr.contents();
        let said = String::from_utf8_lossy(&said);
        let cause = match said
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("thread '"))
        {
            Some(line) => format!("{cause}; it wrote: {}", printable(line)),
            None => cause,
        };
        Error::new(Kind::Plugin, "the plugin failed").caused_by(cause)
    }
}
