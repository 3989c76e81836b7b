//! A sink that takes what it is offered and then misbehaves, for the tests of the sandbox.

mod bindings;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::sink::{
    Depth, Draft, Findings, Guest as Sink, GuestRepository, Identity, Pruned, Repository, Rights,
    Selection, Snapshot,
};
use bindings::exports::tthost::backup::transfer::{
    Guest as Transfer, GuestReader, GuestWriter, Reader, Receipt, Writer,
};
use bindings::tthost::backup::types::{Caller, Completeness, Ending, Entry, Error, Small};
use serde::Deserialize;
use wit_bindgen::{FutureReader, StreamReader};

/// What a file's contents are met with, or already the attempt to open the store.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// A panic, which is a trap.
    Trap,
    /// A loop without end.
    Loop,
    /// No answer, and no computing either.
    Stall,
    /// The same when the store is opened.
    StallOnOpening,
    /// More memory, and more again.
    Hoard,
    /// An error, as the contract has it.
    Refuse,
}

#[derive(Deserialize)]
struct Config {
    fault: Fault,
}

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Misbehaves".into(),
            config_schema: "{}".into(),
        }
    }
}

impl Sink for Component {
    type Repository = Broken;

    async fn probe(_: String) -> Result<Rights, Error> {
        unsupported()
    }
}

impl Transfer for Component {
    type Reader = Broken;
    type Writer = Broken;
}

/// Repository, reader and writer at once.
struct Broken(Fault);

impl Broken {
    async fn misbehave(&self) -> Result<(), Error> {
        match self.0 {
            Fault::Trap => panic!("broken as configured"),
            Fault::Loop => loop {
                std::hint::spin_loop();
            },
            Fault::Stall | Fault::StallOnOpening => std::future::pending().await,
            Fault::Hoard => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            Fault::Refuse => Err(Error::Denied("nothing is stored here".into())),
        }
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("it only takes backups".into()))
}

impl GuestRepository for Broken {
    async fn open(_: Caller, config: String) -> Result<Repository, Error> {
        let config: Config =
            serde_json::from_str(&config).map_err(|cause| Error::Config(cause.to_string()))?;
        let broken = Self(config.fault);
        if matches!(config.fault, Fault::StallOnOpening) {
            broken.misbehave().await?;
        }
        Ok(Repository::new(broken))
    }

    async fn create(_: Caller, _: String) -> Result<Repository, Error> {
        unsupported()
    }

    fn identity(&self) -> Identity {
        Identity {
            id: "broken".into(),
            version: 1,
        }
    }

    async fn begin(&self, _: Draft) -> Result<Writer, Error> {
        Ok(Writer::new(Self(self.0)))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(Vec::new())
    }

    async fn read(&self, _: Selection) -> Result<Reader, Error> {
        unsupported()
    }

    async fn check(&self, _: Depth) -> Result<Findings, Error> {
        unsupported()
    }

    async fn prune(&self, _: Vec<String>, _: bool) -> Result<Pruned, Error> {
        unsupported()
    }

    async fn close(_: Repository) -> Result<(), Error> {
        Ok(())
    }
}

impl GuestReader for Broken {
    async fn next(&self, _: u32) -> Result<Vec<Entry>, Error> {
        unsupported()
    }

    async fn read_small(&self, _: Vec<u64>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        unsupported()
    }

    async fn read(
        &self,
        _: u64,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        unsupported()
    }

    async fn finish(_: Reader) -> Result<Completeness, Error> {
        unsupported()
    }
}

impl GuestWriter for Broken {
    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        Ok(entries.iter().map(|entry| entry.id).collect())
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        self.misbehave().await
    }

    async fn put(
        &self,
        _: u64,
        mut contents: StreamReader<u8>,
        _: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        // In the middle of the stream, when the other sinks are at work too.
        contents.read(Vec::with_capacity(1 << 16)).await;
        self.misbehave().await
    }

    async fn commit(_: Writer, _: Completeness) -> Result<Receipt, Error> {
        unsupported()
    }
}
