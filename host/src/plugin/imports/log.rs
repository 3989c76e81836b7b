//! `log`: messages to the operator.

use tracing::{debug, error, info, warn};

use crate::plugin::bindings::common::tthost::backup::log;
use crate::plugin::state::State;
use crate::text::printable;

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let subject = &*self.subject;
        match level {
            log::Level::Error => error!(subject, "{}", printable(&message)),
            log::Level::Warn => warn!(subject, "{}", printable(&message)),
            log::Level::Info => info!(subject, "{}", printable(&message)),
            log::Level::Debug => debug!(subject, "{}", printable(&message)),
        }
        Ok(())
    }
}
