//! `progress`: the progress of a long operation.

use crate::plugin::bindings::common::tthost::backup::progress;
use crate::plugin::state::State;
use crate::text::printable;

impl progress::Host for State {
    fn report(&mut self, what: String, done: u64, total: Option<u64>) -> wasmtime::Result<()> {
        self.events
            .progress(&self.subject, &printable(&what), done, total);
        Ok(())
    }
}
