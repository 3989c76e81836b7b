//! Sinks with their own format: the world `sink-plugin`.
//!
//! A sink writes, lists, reads and removes snapshots. The SDK finds a snapshot by a prefix of its id, selects the requested part, skips
//! damage on request, and refuses to forget unknown snapshots.
//!
//! A sink in memory:
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::{BTreeMap, BTreeSet};
//! use std::rc::Rc;
//!
//! use tthost_plugin::snapshots::{
//!     Access, Caller, Depth, Draft, Ending, Entries, Findings, Identity, Node, Paths, Pending, Reclaim, Reclaimed,
//!     Rights, Snapshot, Snapshots, Subset, Usage,
//! };
//! use tthost_plugin::tree::{Completeness, Contents, Entry, Reader, Receipt};
//! use tthost_plugin::{About, Error, Result};
//!
//! tthost_plugin::configuration! {
//!     /// There is nothing to set.
//!     struct Config {}
//!     needs {}
//! }
//!
//! /// An entry, its path, and the contents of a file.
//! type Stored = (Entry, Vec<u8>, Option<Vec<u8>>);
//!
//! type Trees = Rc<RefCell<BTreeMap<String, (Snapshot, Vec<Stored>)>>>;
//!
//! #[derive(Default)]
//! struct Memory(Trees);
//!
//! struct Writing {
//!     trees: Trees,
//!     draft: Draft,
//!     paths: RefCell<Paths>,
//!     stored: RefCell<Vec<Stored>>,
//! }
//!
//! struct Reading(Vec<Stored>);
//!
//! impl Snapshots for Memory {
//!     type Config = Config;
//!     type Pending = Writing;
//!     type Reading = Reading;
//!
//!     const ABOUT: About = About {
//!         name: "memory-sink",
//!         version: "0.1.0",
//!         summary: "Keeps snapshots until it ends",
//!     };
//!
//!     async fn open(_: Config, _: Caller, _: Access) -> Result<Self> {
//!         Err(Error::NotFound("what was there is forgotten".into()))
//!     }
//!
//!     async fn create(_: Config, _: Caller) -> Result<Self> {
//!         Ok(Self::default())
//!     }
//!
//!     async fn probe(_: Config) -> Result<Rights> {
//!         Err(Error::Unsupported("there is no place".into()))
//!     }
//!
//!     fn identity(&self) -> Identity {
//!         Identity { id: "memory".into(), version: 1 }
//!     }
//!
//!     async fn begin(&self, draft: Draft) -> Result<Writing> {
//!         let (paths, stored) = Default::default();
//!         Ok(Writing { trees: self.0.clone(), draft, paths, stored })
//!     }
//!
//!     async fn snapshots(&self) -> Result<Vec<Snapshot>> {
//!         Ok(self.0.borrow().values().map(|(snapshot, _)| snapshot.clone()).collect())
//!     }
//!
//!     async fn read(&self, id: &str) -> Result<Reading> {
//!         Ok(Reading(self.0.borrow()[id].1.clone()))
//!     }
//!
//!     async fn usage(&self, _: Subset) -> Result<Usage> {
//!         Ok(Usage { objects: 0, bytes: 0 })
//!     }
//!
//!     async fn check(&self, _: Depth) -> Result<Findings> {
//!         Ok(Findings::default())
//!     }
//!
//!     async fn forget(&self, ids: &BTreeSet<String>) -> Result<()> {
//!         self.0.borrow_mut().retain(|id, _| !ids.contains(id));
//!         Ok(())
//!     }
//!
//!     async fn reclaim(&self, _: Reclaim) -> Result<Reclaimed> {
//!         Ok(Reclaimed::default())
//!     }
//! }
//!
//! impl Pending for Writing {
//!     async fn entry(&self, entry: Entry) -> Result<bool> {
//!         let path = self.paths.borrow_mut().enter(&entry);
//!         self.stored.borrow_mut().push((entry, path, None));
//!         Ok(true)
//!     }
//!
//!     async fn contents(&self, file: u64, mut contents: Contents) -> Result<()> {
//!         let mut bytes = Vec::new();
//!         while let Some(piece) = contents.next().await {
//!             bytes.extend(piece);
//!         }
//!         let ending = contents.finish().await?;
//!         let mut stored = self.stored.borrow_mut();
//!         match ending {
//!             Ending::Omitted => stored.retain(|(entry, ..)| entry.id != file),
//!             Ending::Whole | Ending::Changed => {
//!                 let files = stored.iter_mut().filter(|(entry, ..)| entry.id == file);
//!                 files.for_each(|(.., contents)| *contents = Some(bytes.clone()));
//!             }
//!         }
//!         Ok(())
//!     }
//!
//!     async fn commit(self, _: Completeness) -> Result<Receipt> {
//!         if self.draft.dry_run {
//!             return Ok(Receipt::default());
//!         }
//!         let mut trees = self.trees.borrow_mut();
//!         let id = format!("snapshot-{}", trees.len());
//!         let snapshot = Snapshot::of(id.clone(), self.draft);
//!         trees.insert(id.clone(), (snapshot, self.stored.into_inner()));
//!         Ok(Receipt { snapshot: Some(id), ..Receipt::default() })
//!     }
//! }
//!
//! impl Reader for Reading {
//!     type File = Vec<u8>;
//!
//!     fn entries(&mut self) -> Entries<Vec<u8>> {
//!         let stored = std::mem::take(&mut self.0).into_iter();
//!         Entries::of(stored.map(|(entry, path, contents)| {
//!             Node::new(path, entry.kind).with_metadata(entry.metadata).with_file(contents)
//!         }))
//!     }
//!
//!     async fn read(&self, contents: &Vec<u8>) -> Result<Contents> {
//!         Ok(Contents::whole(contents.clone()))
//!     }
//! }
//!
//! tthost_plugin::export_sink!(Memory);
//! ```

use std::collections::BTreeSet;
use std::marker::PhantomData;

use crate::bindings::exports::tthost::backup::plugin;
use crate::bindings::trees::exports::tthost::backup::{sink, transfer};
use crate::configuration::{self, About, Configuration};
use crate::numbers::Owner;
use crate::selected::Selected;
use crate::transfer::{Reading, Writing};
use crate::tree::{Completeness, Contents, Entry, Kind, Reader, Receipt, Writer};
use crate::{Error, Result};

pub use crate::bindings::trees::exports::tthost::backup::sink::{
    Answer, Depth, Draft, Finding, Findings, Identity, Reclaimed, Rights, Severity, Snapshot,
    Subset, Usage,
};
pub use crate::bindings::tthost::backup::types::{Access, Caller};
pub use crate::tree::{Ending, Entries, Node, Paths};

mod probe;
mod values;

pub use probe::probe_directory;

/// An open store of snapshots.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Snapshots: Sized + 'static {
    /// The settings.
    type Config: Configuration;

    /// A snapshot that is being written. Implement [`Pending`] for it, or [`Writer`] to process whole batches.
    type Pending: Writer;

    /// A snapshot that is being read.
    type Reading: Reader;

    /// The name, version and purpose of the plugin.
    const ABOUT: About;

    /// Opens the store; [`Error::NotFound`] if it does not exist. With read-only access, later calls change nothing, and the
    /// directories are read-only.
    async fn open(config: Self::Config, caller: Caller, access: Access) -> Result<Self>;

    /// Creates and opens the store; [`Error::Exists`] if it already exists.
    async fn create(config: Self::Config, caller: Caller) -> Result<Self>;

    /// Tries which operations work in the location of the store. The store need not exist. [`probe_directory`] does that for
    /// a directory.
    async fn probe(config: Self::Config) -> Result<Rights>;

    /// The identity of the store.
    fn identity(&self) -> Identity;

    /// Begins a snapshot. It is invisible until it is committed, and leaves nothing behind if it is dropped.
    async fn begin(&self, draft: Draft) -> Result<Self::Pending>;

    /// All snapshots, in any order. List an unreadable one as [damaged](Snapshot::damaged).
    async fn snapshots(&self) -> Result<Vec<Snapshot>>;

    /// Reads the existing snapshot with this id. The SDK selects the requested part.
    async fn read(&self, id: &str) -> Result<Self::Reading>;

    /// The amount of data in this subset of the objects, from listings only. [`Subset::holds`] says whether an object belongs to it.
    async fn usage(&self, subset: Subset) -> Result<Usage>;

    /// Checks the store. Damage is not an error of the call. It goes into the findings.
    async fn check(&self, depth: Depth) -> Result<Findings>;

    /// Removes these existing snapshots. Their data may stay until [`reclaim`](Self::reclaim).
    async fn forget(&self, ids: &BTreeSet<String>) -> Result<()>;

    /// Removes data that no snapshot needs. A dry run changes nothing, returns the same numbers, and treats some snapshots as
    /// forgotten. If it is interrupted, all listed snapshots must remain complete.
    async fn reclaim(&self, reclaim: Reclaim) -> Result<Reclaimed>;

    /// Closes the store.
    async fn close(self) -> Result<()> {
        Ok(())
    }
}

/// The mode of `reclaim`.
pub enum Reclaim {
    /// Remove data that no snapshot needs.
    Now,
    /// A dry run: report what no snapshot would need if these were forgotten.
    DryRun(BTreeSet<String>),
}

/// A snapshot that is written entry by entry. The calls come one at a time.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Pending: Sized + 'static {
    /// Takes the next entry of the tree. Returns whether its contents are needed. Only regular files have contents.
    async fn entry(&self, entry: Entry) -> Result<bool>;

    /// Takes the contents of a file. Read them to the end, and do not treat them as stored before their
    /// [verdict](Contents::finish). Return its error, and drop the entry of an [omitted](Ending::Omitted) file.
    async fn contents(&self, file: u64, contents: Contents) -> Result<()>;

    /// Makes the snapshot of the complete tree visible and durable. In a dry run, the receipt names no snapshot.
    async fn commit(self, completeness: Completeness) -> Result<Receipt>;
}

impl<P: Pending> Writer for P {
    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>> {
        let mut needed = Vec::new();
        for entry in entries {
            let file = matches!(entry.kind, Kind::File(_)).then_some(entry.id);
            let is_needed = self.entry(entry).await?;
            needed.extend(file.filter(|_| is_needed));
        }
        Ok(needed)
    }

    async fn put(&self, file: u64, contents: Contents) -> Result<()> {
        self.contents(file, contents).await
    }

    async fn commit(self, completeness: Completeness) -> Result<Receipt> {
        Pending::commit(self, completeness).await
    }
}

/// Exports a type that implements [`Snapshots`] as the plugin of this crate.
#[macro_export]
macro_rules! export_sink {
    ($snapshots:ty) => {
        const _: () = {
            type Exported = $crate::snapshots::Plugin<$snapshots>;
    $crate::export_interfaces!(Exported: plugin transfer sink);
        };
    };
}

/// The plugin of a store.
pub struct Plugin<T>(PhantomData<T>);

/// An open store.
pub struct Store<T>(T);

impl<T: Snapshots> plugin::Guest for Plugin<T> {
    fn describe() -> plugin::Description {
        configuration::describe::<T::Config>(&T::ABOUT)
    }
}

impl<T: Snapshots> transfer::Guest for Plugin<T> {
    type Reader = Reading<Selected<T::Reading>>;
    type Writer = Writing<T::Pending>;
}

impl<T: Snapshots> sink::Guest for Plugin<T> {
    type Repository = Store<T>;

    async fn probe(config: String) -> Result<Rights> {
        T::probe(T::Config::read(&config)?).await
    }
}

impl<T: Snapshots> sink::GuestRepository for Store<T> {
    async fn open(caller: Caller, config: String, access: Access) -> Result<sink::Repository> {
        let store = T::open(T::Config::read(&config)?, caller, access).await?;
        Ok(sink::Repository::new(Self(store)))
    }

    async fn create(caller: Caller, config: String) -> Result<sink::Repository> {
        let store = T::create(T::Config::read(&config)?, caller).await?;
        Ok(sink::Repository::new(Self(store)))
    }

    fn identity(&self) -> Identity {
        self.0.identity()
    }

    async fn begin(&self, draft: Draft) -> Result<transfer::Writer> {
        let pending = self.0.begin(draft).await?;
        Ok(transfer::Writer::new(Writing(pending)))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut snapshots = self.0.snapshots().await?;
        snapshots.sort_by(|one, other| {
            let key = |snapshot: &Snapshot| (snapshot.time.seconds, snapshot.time.nanoseconds);
            (key(one), &one.id).cmp(&(key(other), &other.id))
        });
        Ok(snapshots)
    }

    async fn read(&self, selection: sink::Selection) -> Result<transfer::Reader> {
        let id = self.find(&selection.snapshot).await?;
        let reading = self.0.read(&id).await?;
        let skips_damaged = selection.skip_damaged;
        let selected = Selected::new(reading, selection.paths, selection.levels);
        let reading = Reading::new(selected, Owner::default(), skips_damaged);
        Ok(transfer::Reader::new(reading))
    }

    async fn usage(&self, subset: Subset) -> Result<Usage> {
        self.0.usage(subset).await
    }

    async fn check(&self, depth: Depth) -> Result<Findings> {
        self.0.check(depth).await
    }

    async fn forget(&self, ids: Vec<String>) -> Result<()> {
        let ids = BTreeSet::from_iter(ids);
        let there = self.0.snapshots().await?;
        let is_there = |id: &&String| there.iter().any(|snapshot| snapshot.id == **id);
        if let Some(id) = ids.iter().find(|id| !is_there(id)) {
            return Err(Error::NotFound(format!("there is no snapshot {id}")));
        }
        self.0.forget(&ids).await
    }

    async fn reclaim(&self, options: sink::ReclaimOptions, dry_run: bool) -> Result<Reclaimed> {
        let reclaim = if dry_run {
            Reclaim::DryRun(options.assume_forgotten.into_iter().collect())
        } else {
            Reclaim::Now
        };
        self.0.reclaim(reclaim).await
    }

    async fn close(this: sink::Repository) -> Result<()> {
        this.into_inner::<Self>().0.close().await
    }
}

impl<T: Snapshots> Store<T> {
    /// The id with this prefix.
    async fn find(&self, name: &str) -> Result<String> {
        let snapshots = self.0.snapshots().await?;
        let ids = snapshots.iter().map(|snapshot| &snapshot.id);
        let mut found = ids.filter(|id| id.starts_with(name));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id.clone()),
            (None, _) => Err(Error::NotFound(format!("there is no snapshot {name}"))),
            (Some(_), Some(_)) if snapshots.iter().any(|snapshot| snapshot.id == name) => {
                Ok(name.to_owned())
            }
            (Some(_), Some(_)) => {
                let text = format!("{name} is the beginning of several snapshots' ids");
                Err(Error::NotFound(text))
            }
        }
    }
}
