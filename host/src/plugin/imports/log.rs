//! `log`: messages to the operator.

use crate::event::Level;
use crate::plugin::bindings::common::tthost::backup::log;
use crate::plugin::state::State;
use crate::text::printable;

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
        };
        self.events.log(&self.subject, level, &printable(&message));
        Ok(())
    }
}
