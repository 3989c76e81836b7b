//! Putting dumps back: each through the program that reads its form.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::exports::tthost::backup::transfer::{Counts, GuestWriter, Receipt, Writer};
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::types::{
    Completeness, Contents, Ending, Entry, Error, Kind, Small,
};
use crate::config::{Config, check_database};
use crate::destination::Destination;
use crate::feeding::{Feeding, program};
use crate::layout::{Dump, GLOBALS};

/// Puts dumps back.
pub(crate) struct Restoration {
    config: Config,
    target: Option<String>,
    dry_run: bool,
    /// The databases into which dumps go that were offered.
    databases: RefCell<BTreeSet<String>>,
    /// The dumps whose contents were asked for and have not come, and the databases that they go into.
    expected: RefCell<BTreeMap<u64, (Dump, String)>>,
    /// Dumps that were restored, and their bytes.
    done: Cell<(u64, u64)>,
}

impl Restoration {
    pub(crate) fn new(
        config: Config,
        target: Option<String>,
        dry_run: bool,
    ) -> Result<Self, Error> {
        if let Some(target) = &target {
            check_database(target).map_err(Error::Config)?;
        }
        Ok(Self {
            config,
            target,
            dry_run,
            databases: RefCell::default(),
            expected: RefCell::default(),
            done: Cell::default(),
        })
    }

    /// What an entry holds. Everything else than a dump is refused, before anything runs.
    fn recognize(&self, entry: &Entry) -> Result<Dump, Error> {
        let dump = match entry.kind {
            Kind::File(_) if entry.parent == 0 => Dump::from_file_name(&entry.name, &self.config),
            _ => None,
        };
        let dump = dump.ok_or_else(|| {
            Error::Config(format!(
                "{:?} is not a dump of a database: select the dumps with --path, or restore the snapshot to a directory",
                String::from_utf8_lossy(&entry.name)
            ))
        })?;
        Ok(dump)
    }

    /// The database that a dump goes into. No two go into one.
    async fn database(&self, dump: &Dump) -> Result<String, Error> {
        let Dump::Database(database, _) = dump else {
            return Ok(String::new());
        };
        let wrong = |text: String| Error::Config(format!("{}: {text}", dump.file_name()));
        let destination = Destination::of(
            database.name.as_deref(),
            &self.config,
            self.target.as_deref(),
        );
        let database = destination.map_err(wrong)?.name().await?;
        if !self.databases.borrow_mut().insert(database.clone()) {
            return Err(Error::Config(format!(
                "several dumps of the snapshot would go into the database {database}: choose one by its path"
            )));
        }
        Ok(database)
    }

    /// Says what is restored where; in a dry run, what would be.
    fn announce(&self, dump: &Dump, database: &str) {
        let file = dump.file_name();
        let place = match dump {
            Dump::Globals => "the cluster".to_owned(),
            Dump::Database(..) => format!("the database {database}"),
        };
        if !self.dry_run {
            log(Level::Info, &format!("{file} is restored into {place}"));
            return;
        }
        let (program, arguments) = program(dump, &self.config, database, None);
        let command = arguments.join(" ");
        log(
            Level::Warn,
            &format!("{file} would be restored into {place} by: {program} {command}"),
        );
    }

    async fn start(&self, id: u64) -> Result<(Dump, Feeding), Error> {
        let expected = self.expected.borrow_mut().remove(&id);
        let (dump, database) = expected.ok_or_else(|| {
            Error::Other(format!("contents came for entry {id}, which needs none"))
        })?;
        if dump == Dump::Globals {
            log(
                Level::Info,
                "roles and tablespaces that exist already are reported as errors, and kept",
            );
        }
        let feeding = Feeding::start(&dump, &self.config, &database).await?;
        Ok((dump, feeding))
    }

    fn conclude(&self, dump: &Dump, fed: Result<u64, Error>) -> Result<(), Error> {
        let bytes = fed.map_err(|error| self.explain(dump, error))?;
        let (dumps, total) = self.done.get();
        self.done.set((dumps + 1, total + bytes));
        Ok(())
    }

    /// A tree is in the order of its names, so roles may come after the databases that they
    /// own.
    fn explain(&self, dump: &Dump, error: Error) -> Error {
        let globals_to_come = self
            .expected
            .borrow()
            .values()
            .any(|(dump, _)| *dump == Dump::Globals);
        match error {
            Error::Other(text) if globals_to_come => Error::Other(format!(
                "{}: {text} (if a role or tablespace is missing, restore --path /{GLOBALS} first)",
                dump.file_name()
            )),
            Error::Other(text) => Error::Other(format!("{}: {text}", dump.file_name())),
            Error::Denied(text) => Error::Denied(format!("{}: {text}", dump.file_name())),
            error => error,
        }
    }
}

impl GuestWriter for Restoration {
    fn concurrency(&self, _: u32) -> u32 {
        // Dumps depend on each other: roles come first.
        1
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let mut dumps = Vec::with_capacity(entries.len());
        for entry in &entries {
            let dump = self.recognize(entry)?;
            let database = self.database(&dump).await?;
            dumps.push((entry.id, (dump, database)));
        }
        for (_, (dump, database)) in &dumps {
            self.announce(dump, database);
        }
        if self.dry_run {
            return Ok(Vec::new());
        }
        let needed = dumps.iter().map(|(id, _)| *id).collect();
        self.expected.borrow_mut().extend(dumps);
        Ok(needed)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        for file in files {
            let (dump, feeding) = self.start(file.id).await?;
            let (Contents::Whole(contents) | Contents::Changed(contents)) = file.contents else {
                feeding.give_up();
                return Err(missing(&dump));
            };
            self.conclude(&dump, feed_whole(feeding, contents).await)?;
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        let (dump, mut feeding) = self.start(id).await?;
        if let Err(error) = feed_stream(&mut feeding, contents).await {
            return self.conclude(&dump, Err(error));
        }
        match verdict.await {
            Ok(Ending::Whole | Ending::Changed) => self.conclude(&dump, feeding.complete().await),
            Ok(Ending::Omitted) => {
                feeding.give_up();
                Err(missing(&dump))
            }
            Err(error) => {
                feeding.give_up();
                Err(error)
            }
        }
    }

    async fn commit(this: Writer, _: Completeness) -> Result<Receipt, Error> {
        let restoration = this.into_inner::<Self>();
        if let Some((dump, _)) = restoration.expected.borrow().values().next() {
            return Err(Error::Other(format!(
                "{} was not restored, because its contents never came",
                dump.file_name()
            )));
        }
        let (files, bytes) = restoration.done.get();
        Ok(Receipt {
            snapshot: None,
            files: Counts {
                new: files,
                changed: 0,
                unmodified: 0,
            },
            directories: Counts {
                new: 0,
                changed: 0,
                unmodified: 0,
            },
            objects_added: 0,
            bytes_added: 0,
            bytes_stored: 0,
            bytes_total: bytes,
            removed: 0,
        })
    }
}

fn missing(dump: &Dump) -> Error {
    Error::NotFound(format!("the contents of {} are missing", dump.file_name()))
}

async fn feed_whole(mut feeding: Feeding, contents: Vec<u8>) -> Result<u64, Error> {
    feeding.feed(contents).await?;
    feeding.complete().await
}

async fn feed_stream(feeding: &mut Feeding, mut contents: StreamReader<u8>) -> Result<(), Error> {
    loop {
        let (result, buffer) = contents.read(feeding.buffer()).await;
        feeding.feed(buffer).await?;
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(());
        }
    }
}
