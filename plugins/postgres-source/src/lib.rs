//! Dumps `PostgreSQL` databases with the granted `pg_dump`, and puts them back with `psql` or
//! `pg_restore`, as a plugin of tthost.
//!
//! Dumps go through the plugin in both directions. One that is made is judged on its way, because a program that ends well
//! has not proved that it wrote a whole one. One that is put back is held, because only the plugin knows when the program
//! may take it as complete.

mod advice;
mod arguments;
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

tthost_plugin::export_source!(capture::Dumps: Survey + Drill);
