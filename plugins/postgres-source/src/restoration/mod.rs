//! Restores dumps, each with the program for its format.

mod globals;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use tthost_plugin::tree::{
    Completeness, Contents, Counts, Ending, Entry, Kind, Receipt, Small, SmallContents, Writer,
};
use tthost_plugin::{Error, Level, log};

use crate::advice::advice;
use crate::arguments::Connection;
use crate::exchange;
use crate::feed::{Feed, FeedReport, program};
use crate::layout::{Dump, GLOBALS};
use crate::placement::{Method, Placement};
use crate::plan::{Plan, no_dump};
use crate::server;
use crate::unfinished;

/// Dumps that wait for roles and databases take at most so many bytes.
const MAX_EARLY: usize = 64 << 20;

/// Puts dumps back.
pub(crate) struct Restoration {
    plan: Plan,
    /// What the server knows its connections by.
    session: String,
    /// The server works for it where nobody else removes what it does.
    is_at_work: Cell<bool>,
    /// The dumps whose contents were asked for and have not come, and the databases that they go into.
    expected: RefCell<BTreeMap<u64, (Dump, Option<Placement>)>>,
    /// Dumps that came before the roles and databases that they may need.
    early: RefCell<Vec<Small>>,
    /// Roles were restored, and databases made with them.
    has_globals: Cell<bool>,
    /// Statements of roles and tablespaces that failed.
    refused: Cell<u64>,
    /// SQL that gives new databases their settings when their contents are there.
    settings: RefCell<String>,
    /// New databases that are yet to take their places.
    new_databases: RefCell<Vec<Placement>>,
    /// Dumps that were restored, and their bytes.
    done: Cell<(u64, u64)>,
}

impl Restoration {
    pub(crate) fn new(plan: Plan) -> Self {
        // Its keys are at random.
        let number = RandomState::new().hash_one(());
        Self {
            session: format!("tthost {} {number:016x}", plan.label()),
            is_at_work: Cell::default(),
            plan,
            expected: RefCell::default(),
            early: RefCell::default(),
            has_globals: Cell::default(),
            refused: Cell::default(),
            settings: RefCell::default(),
            new_databases: RefCell::default(),
            done: Cell::default(),
        }
    }

    /// Says what is restored where; in a dry run, what would be.
    fn announce(&self, dump: &Dump, placement: Option<&Placement>) {
        let file = dump.file_name();
        let place = match placement {
            None => "the cluster".to_owned(),
            Some(placement) => format!("the database {}", placement.target()),
        };
        if !self.plan.dry_run {
            log(Level::Info, &format!("{file} is restored into {place}"));
            return;
        }
        let settings = self.plan.settings(placement);
        let unnamed = Connection {
            session: "",
            ..self.connection(placement)
        };
        let (program, arguments) = program(dump, &settings, &unnamed, None);
        let command = arguments.join(" ");
        log(
            Level::Info,
            &format!("{file} would be restored into {place} by: {program} {command}"),
        );
    }

    /// Where a dump goes; roles and tablespaces go into no database.
    fn connection<'a>(&'a self, placement: Option<&'a Placement>) -> Connection<'a> {
        Connection {
            database: placement.map_or("", Placement::target),
            role: self.plan.role.as_deref(),
            session: &self.session,
        }
    }

    /// Whether there is room for dumps that have to wait.
    fn may_hold(&self, dumps: &[Small]) -> bool {
        let early = self.early.borrow();
        let sizes = early.iter().chain(dumps).map(|file| match &file.contents {
            SmallContents::Whole(bytes) | SmallContents::Changed(bytes) => bytes.len(),
            SmallContents::Omitted => 0,
        });
        sizes.sum::<usize>() <= MAX_EARLY
    }

    async fn start(&self, id: u64) -> Result<(Dump, Option<Placement>, Feed), Error> {
        let expected = self.expected.borrow_mut().remove(&id);
        let (dump, mut placement) = expected.ok_or_else(|| {
            Error::Other(format!("contents came for entry {id}, which needs none"))
        })?;
        if let Some(before) = placement.take() {
            placement = Some(if self.has_globals.get() {
                self.plan.place(before.database).await?
            } else {
                before
            });
        }
        if dump == Dump::Globals && !self.plan.is_drill() {
            log(
                Level::Info,
                "roles and tablespaces that exist already are reported as errors, and kept",
            );
        }
        if let Some(placement) = placement
            .as_ref()
            .filter(|placement| placement.new_database().is_some())
        {
            self.new_databases.borrow_mut().push(placement.clone());
            let owner = self.plan.role.as_deref();
            exchange::create(&self.plan.config, placement, owner).await?;
        }
        let has_new_database = placement
            .as_ref()
            .is_some_and(|placement| placement.new_database().is_some());
        let is_tried = dump == Dump::Globals && self.plan.is_drill();
        if !has_new_database && !is_tried && !self.is_at_work.replace(true) {
            unfinished::note_session(&self.session).await;
        }
        let settings = self.plan.settings(placement.as_ref());
        let feed = match &dump {
            // They are the server's, so there is no place in which to try them.
            Dump::Globals if self.plan.is_drill() => Feed::inspect_globals(&settings),
            dump => Feed::start(dump, &settings, &self.connection(placement.as_ref())).await?,
        };
        Ok((dump, placement, feed))
    }

    async fn restore(&self, id: u64, mut contents: Contents) -> Result<(), Error> {
        if self.is_globals(id) && !self.plan.is_drill() {
            let globals = whole(&mut contents).await?;
            return match contents.finish().await? {
                Ending::Whole | Ending::Changed => self.restore_globals(id, globals).await,
                Ending::Omitted => Err(missing(&Dump::Globals)),
            };
        }
        let (dump, placement, mut feed) = self.start(id).await?;
        if let Err(error) = feed_stream(&mut feed, &mut contents).await {
            return self.conclude(&dump, placement, Err(error)).await;
        }
        match contents.finish().await {
            Ok(Ending::Whole | Ending::Changed) => {
                let report = feed.complete().await.map(|report| report.bytes);
                self.conclude(&dump, placement, report).await
            }
            Ok(Ending::Omitted) => {
                feed.give_up();
                Err(missing(&dump))
            }
            Err(error) => {
                feed.give_up();
                Err(error)
            }
        }
    }

    async fn restore_small(&self, file: Small) -> Result<(), Error> {
        let (SmallContents::Whole(contents) | SmallContents::Changed(contents)) = file.contents
        else {
            let expected = self.expected.borrow();
            let dump = expected.get(&file.id).map(|(dump, _)| dump);
            return Err(missing(dump.unwrap_or(&Dump::Globals)));
        };
        if self.is_globals(file.id) && !self.plan.is_drill() {
            return self.restore_globals(file.id, contents).await;
        }
        let (dump, placement, feed) = self.start(file.id).await?;
        let report = feed_whole(feed, contents).await;
        let report = report.map(|report| report.bytes);
        self.conclude(&dump, placement, report).await
    }

    async fn conclude(
        &self,
        dump: &Dump,
        placement: Option<Placement>,
        report: Result<u64, Error>,
    ) -> Result<(), Error> {
        let bytes = report.map_err(|error| self.explain(dump, error))?;
        match placement {
            Some(placement) => check_restored(dump, &placement).await?,
            None => self.has_globals.set(!self.plan.is_drill()),
        }
        let (dumps, total) = self.done.get();
        self.done.set((dumps + 1, total + bytes));
        Ok(())
    }

    /// Restores what had to wait.
    async fn catch_up(&self) -> Result<(), Error> {
        for file in self.early.take() {
            let restored = self.restore_small(file).await;
            self.or_withdraw(restored).await?;
        }
        Ok(())
    }

    /// What happened; after a failure, the server is not at work for it any more, and new databases are gone.
    async fn or_withdraw(&self, happened: Result<(), Error>) -> Result<(), Error> {
        if happened.is_err() {
            if self.is_at_work.take() {
                exchange::end_session(&self.plan.config, &self.session).await;
                unfinished::clear_session(&self.session).await;
            }
            self.remove_new().await;
        }
        happened
    }

    /// Removes new databases. What stays is told, and what happened before is what matters.
    async fn remove_new(&self) {
        let _ = exchange::remove(&self.plan.config, &self.new_databases.take()).await;
    }

    /// Lets the new databases take their places, or removes those of a drill.
    async fn end(&self) -> Result<(), Error> {
        if self.plan.is_drill() {
            return exchange::remove(&self.plan.config, &self.new_databases.take()).await;
        }
        let placements = self.new_databases.borrow().clone();
        if placements.is_empty() {
            return Ok(());
        }
        if let Err(error) = exchange::exchange(&self.plan.config, &placements).await {
            self.remove_new().await;
            return Err(match error {
                Error::Other(text) => Error::Other(format!(
                    "the restored databases cannot take their places, and nothing was changed: {text}"
                )),
                error => error,
            });
        }
        for placement in self.new_databases.take() {
            let database = &placement.database;
            if let Method::Exchange {
                kept: Some(kept), ..
            } = &placement.method
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
        match error {
            Error::Other(text) if self.awaits_globals() => Error::Other(format!(
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

// One dump at a time, because they depend on each other: roles come first.
impl Writer for Restoration {
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
        // A tree is in the order of its names, and roles come first.
        let (globals, dumps): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| self.is_globals(file.id));
        for file in globals {
            let restored = self.restore_small(file).await;
            self.or_withdraw(restored).await?;
        }
        if self.awaits_globals() && self.may_hold(&dumps) {
            self.early.borrow_mut().extend(dumps);
            return Ok(());
        }
        self.catch_up().await?;
        for file in dumps {
            let restored = self.restore_small(file).await;
            self.or_withdraw(restored).await?;
        }
        Ok(())
    }

    async fn put(&self, id: u64, contents: Contents) -> Result<(), Error> {
        let restored = self.restore(id, contents).await;
        self.or_withdraw(restored).await?;
        if self.awaits_globals() {
            return Ok(());
        }
        self.catch_up().await
    }

    async fn commit(self, _: Completeness) -> Result<Receipt, Error> {
        let awaited = match self.expected.borrow().values().next() {
            Some((dump, _)) => Err(Error::Other(format!(
                "{} was not restored, because its contents never came",
                dump.file_name()
            ))),
            None => Ok(()),
        };
        self.or_withdraw(awaited).await?;
        self.end().await?;
        self.set_up().await?;
        if self.is_at_work.take() {
            unfinished::clear_session(&self.session).await;
        }
        let (files, bytes) = self.done.get();
        Ok(Receipt {
            files: Counts {
                new: files,
                ..Counts::default()
            },
            bytes_total: bytes,
            failed: self.refused.get(),
            ..Receipt::default()
        })
    }
}

impl Drop for Restoration {
    fn drop(&mut self) {
        for placement in self.new_databases.take() {
            // It cannot wait for a server here.
            exchange::report_leftover(placement.target());
        }
    }
}

/// Nothing takes the place of a database that is not empty, or stands for it.
async fn check_restored(dump: &Dump, placement: &Placement) -> Result<(), Error> {
    let Some(database) = placement.new_database() else {
        return Ok(());
    };
    let restored = server::DatabaseStats::of(database).await?;
    let file = dump.file_name();
    let was_filled = placement
        .stats
        .as_ref()
        .is_some_and(|stats| !stats.is_empty);
    if restored.is_empty && was_filled {
        let database = &placement.database;
        return Err(Error::Other(match placement.method {
            Method::Drill { .. } => {
                format!(
                    "{file}: there is nothing in the dump, and the database {database} is not empty"
                )
            }
            Method::Direct | Method::Exchange { .. } => {
                format!(
                    "{file}: there is nothing in the dump, so the database {database} stays as it was"
                )
            }
        }));
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

/// All of a file that is short.
async fn whole(contents: &mut Contents) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    loop {
        let more;
        (more, all) = contents.read(all).await;
        if all.len() > MAX_EARLY {
            return Err(Error::Unsupported(format!(
                "{GLOBALS} has more than {} MiB",
                MAX_EARLY >> 20
            )));
        }
        if !more {
            return Ok(all);
        }
    }
}

async fn feed_whole(mut feed: Feed, contents: Vec<u8>) -> Result<FeedReport, Error> {
    feed.feed(contents).await?;
    feed.complete().await
}

async fn feed_stream(feed: &mut Feed, contents: &mut Contents) -> Result<(), Error> {
    loop {
        let (more, buffer) = contents.read(feed.buffer()).await;
        feed.feed(buffer).await?;
        if !more {
            return Ok(());
        }
    }
}
