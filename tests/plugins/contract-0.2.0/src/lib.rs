//! A source, a sink and a store at once, built for version 0.2.0 of the contract. Whatever becomes of the contract, the host runs it as
//! it is: nothing in here changes, the copy of the contract in `wit` least of all.
//!
//! It exports every interface of that version, and calls every function that the host offers in it.

mod bindings;
mod everything;
mod objects;
mod sink;
mod source;
mod tree;

use bindings::exports::tthost::backup::plugin::{Description, Guest, Need, ResourceKind};
use bindings::exports::tthost::backup::transfer;
use bindings::tthost::backup::types::{Access, Error};

struct Component;

impl Guest for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Is built for version 0.2.0 of the contract".into(),
            config_schema: r#"{"type": "object", "properties": {}}"#.into(),
            needs: vec![Need {
                resource: ResourceKind::Directory(Access::ReadWrite),
                name: "place".into(),
                optional: true,
                reason: "It holds what a sink or a store keeps.".into(),
            }],
        }
    }
}

impl transfer::Guest for Component {
    type Reader = tree::Given;
    type Writer = tree::Taken;
}

/// Where a sink and a store keep things.
const PLACE: &str = "/place";

fn failed(what: &str, cause: &std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(format!("{what} is not there")),
        _ => Error::Other(format!("{what}: {cause}")),
    }
}
