//! A plugin of tthost: dumps `PostgreSQL` databases with the granted `pg_dump`, and restores them with `psql` or
//! `pg_restore`.
//!
//! Dumps go through the plugin in both directions. It checks a new dump, because exit code 0 of a program does not
//! prove that its output is complete. It withholds the end of a dump that is restored, because only the plugin knows
//! when the program may treat it as complete.

mod advice;
mod arguments;
mod capture;
mod config;
mod delivery;
mod destination;
mod exchange;
mod feed;
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
