//! A restic repository in a directory, as a plugin of tthost.
//!
//! The format is that of `restic-repo`; here is what it stands on: the directory that the host
//! granted as `/repository` ([`directory`]), the host's `seal` interface ([`compute`]), clock
//! and random numbers ([`platform`]); and the contract's exports on top ([`sink`],
//! [`transfer`]).

mod bindings;
mod compute;
mod convert;
mod directory;
mod file_data;
mod platform;
mod sink;
mod transfer;

use bindings::exports::tthost::backup::plugin::{Description, Guest};

struct Component;

impl Guest for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Stores snapshots in a restic repository in a directory".into(),
            config_schema: sink::CONFIG_SCHEMA.into(),
        }
    }
}
