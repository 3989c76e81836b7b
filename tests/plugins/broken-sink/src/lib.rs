//! A sink that takes what it is offered and then misbehaves, for the tests of the sandbox.

mod bindings;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::sink::{
    Depth, Draft, Findings, Guest as Sink, GuestRepository, Identity, ReclaimOptions, Reclaimed,
    Repository, Rights, Selection, Snapshot, Subset, Usage,
};
use bindings::exports::tthost::backup::transfer::{
    Guest as Transfer, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use bindings::tthost::backup::log::{Level, log};
use bindings::tthost::backup::types::{
    Access, Caller, Completeness, Contents, Ending, Entry, Error, Small,
};
use serde::Deserialize;
use std::{fs, thread, time::Duration};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

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
    /// Nothing: all that is offered is taken.
    None,
    /// A byte of the contents now and then.
    Trickle,
    /// It writes to its directory, whatever it is told.
    Write,
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
            config_schema: r#"{"additionalProperties": true}"#.into(),
            needs: Vec::new(),
        }
    }
}

impl Sink for Component {
    type Repository = Broken;

    async fn probe(config: String) -> Result<Rights, Error> {
        begin(&config).await?;
        unsupported()
    }
}

impl Transfer for Component {
    type Reader = Broken;
    type Writer = Pending;
}

/// Repository and reader at once.
struct Broken(Fault);

/// A snapshot that is being written, and never is.
struct Pending(Broken);

impl Drop for Pending {
    fn drop(&mut self) {
        log(Level::Info, "the snapshot is given up");
    }
}

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
            Fault::None | Fault::Trickle => Ok(()),
            Fault::Write => fs::write("/repository/written", "anyway")
                .map_err(|cause| Error::ReadOnly(format!("it is read-only: {cause}"))),
            Fault::Refuse => Err(Error::Denied("nothing is stored here".into())),
        }
    }
}

/// What each call without a store begins with.
async fn begin(config: &str) -> Result<Broken, Error> {
    let config: Config =
        serde_json::from_str(config).map_err(|cause| Error::Config(cause.to_string()))?;
    let broken = Broken(config.fault);
    if matches!(config.fault, Fault::StallOnOpening) {
        broken.misbehave().await?;
    }
    Ok(broken)
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("it only takes backups".into()))
}

impl GuestRepository for Broken {
    async fn open(_: Caller, config: String, _: Access) -> Result<Repository, Error> {
        Ok(Repository::new(begin(&config).await?))
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
        if matches!(self.0, Fault::Write) {
            self.misbehave().await?;
        }
        log(Level::Info, "a snapshot is begun");
        Ok(Writer::new(Pending(Self(self.0))))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(Vec::new())
    }

    async fn read(&self, _: Selection) -> Result<Reader, Error> {
        unsupported()
    }

    async fn usage(&self, _: Subset) -> Result<Usage, Error> {
        unsupported()
    }

    async fn check(&self, _: Depth) -> Result<Findings, Error> {
        unsupported()
    }

    async fn forget(&self, _: Vec<String>) -> Result<(), Error> {
        unsupported()
    }

    async fn reclaim(&self, _: ReclaimOptions, _: bool) -> Result<Reclaimed, Error> {
        unsupported()
    }

    async fn close(_: Repository) -> Result<(), Error> {
        log(Level::Info, "the store is closed");
        Ok(())
    }
}

impl GuestReader for Broken {
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

impl GuestWriter for Pending {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        Ok(entries.iter().map(|entry| entry.id).collect())
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        self.0.misbehave().await
    }

    async fn put(
        &self,
        _: u64,
        mut contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        if let Fault::Trickle = self.0.0 {
            while let (StreamResult::Complete(_), _) = contents.read(Vec::with_capacity(1)).await {
                thread::sleep(Duration::from_millis(200));
            }
        }
        // In the middle of the stream, when the other sinks are at work too.
        contents.read(Vec::with_capacity(1 << 16)).await;
        self.0.misbehave().await?;
        while let (StreamResult::Complete(_), _) = contents.read(Vec::with_capacity(1 << 16)).await
        {
        }
        verdict.await.map(drop)
    }

    async fn commit(_: Writer, _: Completeness) -> Result<Receipt, Error> {
        unsupported()
    }
}
