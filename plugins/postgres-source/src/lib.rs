//! Dumps `PostgreSQL` databases with the granted `pg_dump`, and puts them back with `psql` or
//! `pg_restore`, as a plugin of tthost.
//!
//! Dumps go through the plugin in both directions. One that is made is judged on its way, because a program that ends well
//! has not proved that it wrote a whole one. One that is put back is held, because only the plugin knows when the program
//! may take it as complete.

mod advice;
mod arguments;
mod bindings;
mod capture;
mod config;
mod delivery;
mod destination;
mod exchange;
mod feeding;
mod layout;
mod placement;
mod plan;
mod program;
mod properties;
mod restoration;
mod restriction;
mod selection;
mod server;
mod survey;
mod transaction;
mod unfinished;
mod vetting;

use bindings::exports::tthost::backup::drill;
use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::source::{self, Capture};
use bindings::exports::tthost::backup::transfer::{self, Reader, Writer};
use bindings::tthost::backup::types::{Caller, Error};
use capture::Dumps;
use config::Config;
use plan::Plan;
use restoration::Restoration;
use selection::Selection;

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Dumps PostgreSQL databases with pg_dump and restores them with psql or pg_restore"
                    .into(),
            config_schema: config::SCHEMA.into(),
            needs: program::needs(),
        }
    }
}

impl transfer::Guest for Component {
    type Reader = Dumps;
    type Writer = Restoration;
}

impl source::Guest for Component {
    async fn open(caller: Caller, config: String) -> Result<Capture, Error> {
        let config = Config::parse(&config).map_err(Error::Config)?;
        unfinished::remove_left(&config).await;
        let selection = Selection::new(&config).await?;
        let dumps = Dumps::new(&caller, config, selection)?;
        Ok(Capture {
            paths: dumps.paths(),
            reader: Reader::new(dumps),
        })
    }

    async fn restore(
        _: Caller,
        config: String,
        restoration: source::Restoration,
    ) -> Result<Writer, Error> {
        let plan = Plan::new(&config, restoration)?;
        unfinished::remove_left(&plan.config).await;
        Ok(Writer::new(Restoration::new(plan)))
    }
}

impl drill::Guest for Component {
    async fn begin(_: Caller, config: String, label: String) -> Result<Writer, Error> {
        let plan = Plan::drill(&config, label)?;
        unfinished::remove_left(&plan.config).await;
        Ok(Writer::new(Restoration::new(plan)))
    }
}
