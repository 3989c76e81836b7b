//! `log`: messages to the operator.

use tracing::{debug, error, info, warn};

use crate::plugin::bindings::common::tthost::backup::log;
use crate::plugin::state::State;
use crate::text::printable;

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let message = printable(&message);
        self.throttle.emit(message.len(), |subject| match level {
            log::Level::Error => error!(subject, "{message}"),
            log::Level::Warn => warn!(subject, "{message}"),
            log::Level::Info => info!(subject, "{message}"),
            log::Level::Debug => debug!(subject, "{message}"),
        });
        Ok(())
    }
}
