//! A sink that stores nothing, and says what it likes.

use std::cell::Cell;

use crate::attack::attack;
use crate::bindings::exports::tthost::backup::sink::{
    self, Depth, Finding, Findings, Guest, GuestRepository, Identity, ReclaimOptions, Reclaimed,
    Repository, Rights, Selection, Severity, Snapshot, Subset, Usage,
};
use crate::bindings::exports::tthost::backup::transfer::{
    Counts, GuestWriter, Reader, Receipt, Writer,
};
use crate::bindings::tthost::backup::types::{
    Access, Caller, Completeness, Ending, Entry, Error, Instant, Kind, Small,
};
use crate::{Component, unsupported};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

impl Guest for Component {
    type Repository = Store;

    async fn probe(_: String) -> Result<Rights, Error> {
        unsupported()
    }
}

/// A store that is empty, or lists what its attack needs.
pub(crate) struct Store(String, Cell<bool>);

/// Snapshots of a gigantic list.
const MANY: u32 = 100_000;

impl Store {
    /// The attack, if it is of this place.
    fn at(&self, place: &str) -> Option<&str> {
        self.0.strip_prefix(place)?.strip_prefix(':')
    }

    async fn attack(&self, place: &str) -> Result<(), Error> {
        match self.at(place) {
            Some(name) => attack(name).await,
            None => Ok(()),
        }
    }
}

fn snapshot(id: &str) -> Snapshot {
    Snapshot {
        id: id.into(),
        time: Instant {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        hostname: "host".into(),
        username: "user".into(),
        tags: Vec::new(),
        paths: vec!["/".into()],
        program: None,
        files: None,
        bytes: None,
        bytes_added: None,
        bytes_stored: None,
        damaged: None,
    }
}

fn one_of_many(number: u32) -> Snapshot {
    Snapshot {
        time: Instant {
            seconds: number.into(),
            nanoseconds: 0,
        },
        ..snapshot(&format!("s{number}"))
    }
}

impl GuestRepository for Store {
    async fn open(_: Caller, config: String, _: Access) -> Result<Repository, Error> {
        let store = Self(crate::attack(&config)?, Cell::default());
        store.attack("open").await?;
        Ok(Repository::new(store))
    }

    async fn create(_: Caller, _: String) -> Result<Repository, Error> {
        unsupported()
    }

    fn identity(&self) -> Identity {
        Identity {
            id: "hostile".into(),
            version: 1,
        }
    }

    async fn begin(&self, _: sink::Draft) -> Result<Writer, Error> {
        self.attack("begin").await?;
        Ok(Writer::new(Draft(Self(self.0.clone(), Cell::default()))))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.attack("snapshots").await?;
        Ok(match &*self.0 {
            "commit-twice" => vec![snapshot("one"), snapshot("one")],
            "commit-old" => vec![snapshot("one")],
            "long-text" => vec![Snapshot {
                hostname: "x".repeat(100_000),
                ..snapshot("one")
            }],
            "impossible-time" => vec![Snapshot {
                time: Instant {
                    seconds: i64::MAX,
                    nanoseconds: 0,
                },
                ..snapshot("one")
            }],
            "forget-nothing" => vec![snapshot("one"), snapshot("two")],
            // What was forgotten is gone until somebody else asks.
            "many" if self.1.get() => vec![one_of_many(MANY - 1)],
            "many" => (0..MANY).map(one_of_many).collect(),
            "many-damaged" => (0..MANY)
                .map(|number| Snapshot {
                    damaged: Some(format!("the snapshot {number} is damaged")),
                    ..one_of_many(number)
                })
                .collect(),
            _ => Vec::new(),
        })
    }

    async fn read(&self, _: Selection) -> Result<Reader, Error> {
        unsupported()
    }

    async fn usage(&self, _: Subset) -> Result<Usage, Error> {
        unsupported()
    }

    async fn check(&self, _: Depth) -> Result<Findings, Error> {
        self.attack("check").await?;
        let finding = |number: u32| Finding {
            severity: Severity::Error,
            what: format!("blob {number} is gone"),
            snapshots: Vec::new(),
            paths: match number {
                0 => vec![b"/\x1b[2J".to_vec(); 200],
                _ => Vec::new(),
            },
        };
        Ok(Findings {
            findings: (0..12_000).map(finding).collect(),
            snapshots: 0,
            objects: 0,
            bytes_read: 0,
        })
    }

    async fn forget(&self, _: Vec<String>) -> Result<(), Error> {
        self.1.set(true);
        Ok(())
    }

    async fn reclaim(&self, _: ReclaimOptions, _: bool) -> Result<Reclaimed, Error> {
        unsupported()
    }

    async fn close(_: Repository) -> Result<(), Error> {
        Ok(())
    }
}

/// A snapshot that is never stored.
pub(crate) struct Draft(Store);

impl GuestWriter for Draft {
    fn concurrency(&self, wanted: u32) -> u32 {
        match &*self.0.0 {
            "concurrency" => u32::MAX,
            _ => wanted,
        }
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        self.0.attack("offer").await?;
        Ok(match &*self.0.0 {
            "foreign-need" => vec![1_000_000],
            "many-needs" => vec![1; 1 << 20],
            _ => {
                let files = entries.iter();
                let files = files.filter(|entry| matches!(entry.kind, Kind::File(_)));
                files.map(|entry| entry.id).collect()
            }
        })
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        self.0.attack("put-small").await
    }

    async fn put(
        &self,
        _: u64,
        mut contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        self.0.attack("put").await?;
        if self.0.0 == "unread" {
            return Ok(());
        }
        while let (StreamResult::Complete(_), _) = contents.read(Vec::with_capacity(1 << 16)).await
        {
        }
        verdict.await.map(drop)
    }

    async fn commit(this: Writer, _: Completeness) -> Result<Receipt, Error> {
        let Self(store) = this.into_inner::<Self>();
        store.attack("commit").await?;
        let snapshot = match &*store.0 {
            "commit-nothing" => None,
            "commit-odd" => Some("\u{1b}[2J".into()),
            "commit-long" => Some("x".repeat(1000)),
            _ => Some("one".into()),
        };
        let none = Counts {
            new: 0,
            changed: 0,
            unmodified: 0,
        };
        Ok(Receipt {
            snapshot,
            files: Counts {
                new: u64::MAX,
                changed: u64::MAX,
                unmodified: u64::MAX,
            },
            directories: none,
            objects_added: 0,
            bytes_added: 0,
            bytes_stored: 0,
            bytes_total: u64::MAX,
            removed: 0,
            failed: 0,
        })
    }
}
