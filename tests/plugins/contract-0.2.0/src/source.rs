//! A source of the same tree each time. What is restored to it is taken and thrown away.

use crate::Component;
use crate::bindings::exports::tthost::backup::source::{Capture, Guest};
use crate::bindings::exports::tthost::backup::survey::{Fate, Place};
use crate::bindings::exports::tthost::backup::transfer::Writer;
use crate::bindings::exports::tthost::backup::{drill, survey};
use crate::bindings::tthost::backup::types::{Caller, Error, Restoration};
use crate::everything::call_everything;
use crate::tree::{Given, Taken, Tree};

impl Guest for Component {
    async fn open(_: Caller, _: String) -> Result<Capture, Error> {
        call_everything().await?;
        Ok(Capture {
            paths: vec!["/sample".into()],
            reader: Given::reader(Tree::sample()),
        })
    }

    async fn restore(_: Caller, _: String, _: Restoration) -> Result<Writer, Error> {
        Ok(Taken::writer(None))
    }
}

impl survey::Guest for Component {
    async fn places(
        _: Caller,
        _: String,
        _: Restoration,
        paths: Vec<String>,
    ) -> Result<Vec<Place>, Error> {
        let places = paths.into_iter().map(|path| Place {
            name: path,
            holds: Vec::new(),
            bytes: None,
            fate: Fate::Created,
        });
        Ok(places.collect())
    }
}

impl drill::Guest for Component {
    async fn begin(_: Caller, _: String, _: String) -> Result<Writer, Error> {
        Ok(Taken::writer(None))
    }
}
