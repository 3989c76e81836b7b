//! A source that sends HTTP requests and says what came of them, for the tests of the network's grants.

mod bindings;
mod fetch;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::source::{Capture, Guest as Source, Restoration};
use bindings::exports::tthost::backup::transfer::{
    Guest as Transfer, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use bindings::tthost::backup::types::{
    Caller, Completeness, Contents, Ending, Entry, Error, Small,
};
use serde::Deserialize;
use wit_bindgen::{FutureReader, StreamReader};

#[derive(Deserialize)]
struct Config {
    /// What is asked for, one after the other.
    urls: Vec<String>,
}

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Fetches what it is told".into(),
            config_schema: r#"{"additionalProperties": true}"#.into(),
            needs: Vec::new(),
        }
    }
}

impl Source for Component {
    /// Never opens: the error says what came of each request.
    async fn open(_: Caller, config: String) -> Result<Capture, Error> {
        let config: Config =
            serde_json::from_str(&config).map_err(|cause| Error::Config(cause.to_string()))?;
        let mut outcomes = Vec::new();
        for (number, url) in config.urls.iter().enumerate() {
            outcomes.push(format!("[{number}: {}]", fetch::describe(url).await));
        }
        Err(Error::Other(outcomes.join(" ")))
    }

    async fn restore(_: Caller, _: String, _: Restoration) -> Result<Writer, Error> {
        unsupported()
    }
}

impl Transfer for Component {
    type Reader = Nothing;
    type Writer = Nothing;
}

/// There is nothing to read, and nowhere to write.
struct Nothing;

impl GuestReader for Nothing {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, _: u32) -> Result<Vec<Entry>, Error> {
        unsupported()
    }

    async fn read_small(&self, _: Vec<u64>) -> Result<Vec<Contents>, Error> {
        unsupported()
    }

    async fn read(
        &self,
        _: u64,
        _: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        unsupported()
    }

    async fn finish(_: Reader) -> Result<Completeness, Error> {
        unsupported()
    }
}

impl GuestWriter for Nothing {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, _: Vec<Entry>) -> Result<Vec<u64>, Error> {
        unsupported()
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        unsupported()
    }

    async fn put(
        &self,
        _: u64,
        _: StreamReader<u8>,
        _: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        unsupported()
    }

    async fn commit(_: Writer, _: Completeness) -> Result<Receipt, Error> {
        unsupported()
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("it only fetches".into()))
}
