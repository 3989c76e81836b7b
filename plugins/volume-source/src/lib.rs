//! Backs up the trees of files that it was granted, volumes and directories, and puts them back,
//! as a plugin of tthost.
//!
//! It decides what is taken and in which order ([`walk`]); the host looks, opens and reads. The
//! contents of large files never enter it: the host's stream of them is handed on.

mod bindings;
mod capture;
mod config;
mod notes;
mod restoration;
mod roots;
mod walk;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin, Need, ResourceKind};
use bindings::exports::tthost::backup::source::{self, Guest as Source};
use bindings::exports::tthost::backup::transfer::{self, Reader, Writer};
use bindings::tthost::backup::types::{Caller, Error};
use config::Config;

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Backs up volumes and directories with all their metadata, and restores them"
                .into(),
            config_schema: config::SCHEMA.into(),
            needs: vec![Need {
                resource: ResourceKind::Tree,
                name: "*".into(),
                optional: false,
                reason: "It is what is backed up, or restored.".into(),
            }],
        }
    }
}

impl transfer::Guest for Component {
    type Reader = capture::Capture;
    type Writer = restoration::Restoration;
}

impl Source for Component {
    async fn open(_: Caller, config: String) -> Result<source::Capture, Error> {
        let config = Config::parse(&config)?;
        let roots = roots::granted().await?;
        Ok(source::Capture {
            paths: roots::paths(&roots),
            reader: Reader::new(capture::Capture::new(&config, roots)?),
        })
    }

    async fn restore(
        _: Caller,
        config: String,
        restoration: source::Restoration,
    ) -> Result<Writer, Error> {
        Config::parse(&config)?;
        let restoration = restoration::Restoration::begin(restoration).await?;
        Ok(Writer::new(restoration))
    }
}
