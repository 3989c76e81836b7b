//! `progress`: how far a long operation has come.

use crate::plugin::bindings::common::tthost::backup::progress;
use crate::plugin::printable;
use crate::plugin::state::State;

impl progress::Host for State {
    fn report(&mut self, what: String, done: u64, total: Option<u64>) -> wasmtime::Result<()> {
        self.activity.note();
        self.events
            .progress(&self.subject, &printable(&what), done, total);
        Ok(())
    }
}
