//! A source and a sink that attacks its host as its configuration says, for the tests of the limits.

mod attack;
mod bindings;
mod sink;
mod source;

use std::hint::black_box;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::transfer::Guest as Transfer;
use bindings::tthost::backup::types::Error;
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    /// What it does, and nothing unusual otherwise.
    attack: String,
}

struct Component;

/// Its schema, and room for a longer one, which a test writes into the component. A plugin has no configuration yet when it is asked for
/// its schema.
static SCHEMA: [u8; 4096] = padded(br#"{"additionalProperties": true}"#);

const fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut room = [b' '; N];
    room.split_at_mut(text.len()).0.copy_from_slice(text);
    room
}

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Attacks its host".into(),
            config_schema: String::from_utf8_lossy(black_box(&SCHEMA)).into_owned(),
            needs: Vec::new(),
        }
    }
}

impl Transfer for Component {
    type Reader = source::Tree;
    type Writer = sink::Draft;
}

/// The attack that a configuration names.
fn attack(config: &str) -> Result<String, Error> {
    let config: Config =
        serde_json::from_str(config).map_err(|cause| Error::Config(cause.to_string()))?;
    Ok(config.attack)
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("it attacks elsewhere".into()))
}
