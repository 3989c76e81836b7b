//! Putting dumps back: each through the program that reads its form.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::advice::advice;
use crate::bindings::exports::tthost::backup::transfer::{Counts, GuestWriter, Receipt, Writer};
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::types::{
    Completeness, Contents, Ending, Entry, Error, Kind, Small,
};
use crate::exchange;
use crate::feeding::{Feeding, program};
use crate::layout::{Dump, GLOBALS};
use crate::placement::{Placement, Way};
use crate::plan::{Plan, no_dump};
use crate::server;

/// Puts dumps back.
pub(crate) struct Restoration {
    plan: Plan,
    /// The dumps whose contents were asked for and have not come, and the databases that they go into.
    expected: RefCell<BTreeMap<u64, (Dump, Option<Placement>)>>,
    /// New databases that are yet to take their places.
    beside: RefCell<Vec<Placement>>,
    /// Dumps that were restored, and their bytes.
    done: Cell<(u64, u64)>,
}

impl Restoration {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            expected: RefCell::default(),
            beside: RefCell::default(),
            done: Cell::default(),
        }
    }

    /// Says what is restored where; in a dry run, what would be.
    fn announce(&self, dump: &Dump, placement: Option<&Placement>) {
        let file = dump.file_name();
        let place = match placement {
            None => "the cluster".to_owned(),
            Some(placement) => format!("the database {}", placement.fed()),
        };
        if !self.plan.dry_run {
            log(Level::Info, &format!("{file} is restored into {place}"));
            return;
        }
        let (program, arguments) =
            program(dump, &self.plan.settings(placement), fed(placement), None);
        let command = arguments.join(" ");
        log(
            Level::Info,
            &format!("{file} would be restored into {place} by: {program} {command}"),
        );
    }

    async fn start(&self, id: u64) -> Result<(Dump, Option<Placement>, Feeding), Error> {
        let expected = self.expected.borrow_mut().remove(&id);
        let (dump, placement) = expected.ok_or_else(|| {
            Error::Other(format!("contents came for entry {id}, which needs none"))
        })?;
        if dump == Dump::Globals {
            log(
                Level::Info,
                "roles and tablespaces that exist already are reported as errors, and kept",
            );
        }
        if let Some(placement) = placement.as_ref().filter(|placement| placement.is_new()) {
            self.beside.borrow_mut().push(placement.clone());
            exchange::create(&self.plan.config, placement).await?;
        }
        let settings = self.plan.settings(placement.as_ref());
        let feeding = Feeding::start(&dump, &settings, fed(placement.as_ref())).await?;
        Ok((dump, placement, feeding))
    }

    async fn restore(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        let (dump, placement, mut feeding) = self.start(id).await?;
        if let Err(error) = feed_stream(&mut feeding, contents).await {
            return self.conclude(&dump, placement, Err(error)).await;
        }
        match verdict.await {
            Ok(Ending::Whole | Ending::Changed) => {
                let fed = feeding.complete().await;
                self.conclude(&dump, placement, fed).await
            }
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

    async fn restore_small(&self, file: Small) -> Result<(), Error> {
        let (dump, placement, feeding) = self.start(file.id).await?;
        let (Contents::Whole(contents) | Contents::Changed(contents)) = file.contents else {
            feeding.give_up();
            return Err(missing(&dump));
        };
        let fed = feed_whole(feeding, contents).await;
        self.conclude(&dump, placement, fed).await
    }

    async fn conclude(
        &self,
        dump: &Dump,
        placement: Option<Placement>,
        fed: Result<u64, Error>,
    ) -> Result<(), Error> {
        let bytes = fed.map_err(|error| self.explain(dump, error))?;
        if let Some(placement) = placement {
            check_restored(dump, &placement).await?;
        }
        let (dumps, total) = self.done.get();
        self.done.set((dumps + 1, total + bytes));
        Ok(())
    }

    /// What happened; after a failure, new databases are gone.
    async fn or_withdraw(&self, happened: Result<(), Error>) -> Result<(), Error> {
        if happened.is_err() {
            exchange::remove(&self.plan.config, &self.beside.take()).await;
        }
        happened
    }

    /// Lets the new databases take their places.
    async fn exchange(&self) -> Result<(), Error> {
        let beside = self.beside.take();
        if beside.is_empty() {
            return Ok(());
        }
        if let Err(error) = exchange::exchange(&self.plan.config, &beside).await {
            exchange::remove(&self.plan.config, &beside).await;
            return Err(match error {
                Error::Other(text) => Error::Other(format!(
                    "the restored databases cannot take their places, and nothing was changed: {text}"
                )),
                error => error,
            });
        }
        for placement in &beside {
            let database = &placement.database;
            if let Way::Beside {
                kept: Some(kept), ..
            } = &placement.way
            {
                let text = format!("what was the database {database} is called {kept} now");
                log(Level::Info, &text);
            }
        }
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
            Error::Other(text) => {
                let advice = match dump {
                    Dump::Globals => None,
                    Dump::Database(_, format) => advice(&text, *format),
                };
                let advice = advice.map(|advice| format!(" ({advice})"));
                let advice = advice.unwrap_or_default();
                Error::Other(format!("{}: {text}{advice}", dump.file_name()))
            }
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
            let dump = match entry.kind {
                Kind::File(_) if entry.parent == 0 => self.plan.recognize(&entry.name)?,
                _ => return Err(no_dump(&entry.name)),
            };
            let placement = self.plan.placement(&dump).await?;
            dumps.push((entry.id, (dump, placement)));
        }
        for (_, (dump, placement)) in &dumps {
            self.announce(dump, placement.as_ref());
        }
        if self.plan.dry_run {
            return Ok(Vec::new());
        }
        let needed = dumps.iter().map(|(id, _)| *id).collect();
        self.expected.borrow_mut().extend(dumps);
        Ok(needed)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        for file in files {
            let restored = self.restore_small(file).await;
            self.or_withdraw(restored).await?;
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        contents: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        let restored = self.restore(id, contents, verdict).await;
        self.or_withdraw(restored).await
    }

    async fn commit(this: Writer, _: Completeness) -> Result<Receipt, Error> {
        let restoration = this.into_inner::<Self>();
        let awaited = match restoration.expected.borrow().values().next() {
            Some((dump, _)) => Err(Error::Other(format!(
                "{} was not restored, because its contents never came",
                dump.file_name()
            ))),
            None => Ok(()),
        };
        restoration.or_withdraw(awaited).await?;
        restoration.exchange().await?;
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

impl Drop for Restoration {
    fn drop(&mut self) {
        for placement in self.beside.take() {
            // It cannot wait for a server here.
            exchange::leave(placement.fed());
        }
    }
}

/// The database that a dump is fed to; none for roles and tablespaces.
fn fed(placement: Option<&Placement>) -> &str {
    placement.map_or("", Placement::fed)
}

/// Nothing takes the place of a database that is not empty.
async fn check_restored(dump: &Dump, placement: &Placement) -> Result<(), Error> {
    let Way::Beside { beside, kept } = &placement.way else {
        return Ok(());
    };
    let restored = server::Contents::of(beside).await?;
    let file = dump.file_name();
    if restored.is_empty && kept.is_some() {
        return Err(Error::Other(format!(
            "{file}: there is nothing in the dump, so the database {} stays as it was",
            placement.database
        )));
    }
    let (tables, rows) = (restored.tables, restored.rows);
    log(
        Level::Info,
        &format!("{file}: {tables} tables, about {rows} rows"),
    );
    Ok(())
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
