//! The end-to-end tests: the built program, run as a user would, against real parts.
//!
//! They are one binary, so that they are linked once and can share the parts that they run against.

mod alerts;
mod all_databases;
mod backup_and_restore;
mod check;
mod cli;
mod confinement;
mod conformance;
mod contract;
mod copy;
mod directories;
mod directory_restores;
mod drill;
mod dump_commands;
mod dump_scanner;
mod egress;
mod escapes;
mod failures;
mod fault_s3;
mod forget;
mod history;
mod hostile;
mod init;
mod interop;
mod json;
mod live_database;
mod offsite;
mod parts;
mod prune;
mod s3_parts;
mod sandbox;
mod schedule;
mod script;
mod transcripts;
mod tree_fixture;
mod trees;
mod volumes;
mod words;
