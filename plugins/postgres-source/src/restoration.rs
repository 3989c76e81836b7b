//! Putting dumps back: each through the program that reads its form.
//!
//! A program that reads SQL takes the end of its input for the end of the dump, and commits.
//! So its input is ended only when the contents' verdict is good; before, it is killed, and
//! the database server rolls back.

use std::cell::RefCell;
use std::collections::HashMap;

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::exports::tthost::backup::transfer::{GuestWriter, Receipt, Small, Writer};
use crate::bindings::tthost::backup::commands::{self, Process};
use crate::bindings::tthost::backup::log;
use crate::bindings::tthost::backup::types::{Entry, Error, Kind};
use crate::bindings::wit_stream;
use crate::config::{Config, Format, check_database, connection};
use crate::layout::Dump;
use crate::program::succeed;

/// Bytes that are handed on at a time.
const CHUNK: usize = 1 << 20;

/// Puts dumps back.
pub(crate) struct Restoration {
    config: Config,
    target: Option<String>,
    dry_run: bool,
    /// What the files that were asked for hold.
    expected: RefCell<HashMap<u64, Dump>>,
    done: RefCell<Totals>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    files: u64,
    bytes: u64,
    databases: u64,
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
            expected: RefCell::default(),
            done: RefCell::default(),
        })
    }

    /// The program that takes a dump, and its arguments.
    fn program(&self, dump: &Dump) -> (&'static str, Vec<String>) {
        let (database, format) = match dump {
            Dump::Database(name, format) => (self.target.as_ref().or(name.as_ref()), *format),
            // Roles exist in every cluster, so those that are there already are no reason to stop.
            Dump::Globals => {
                let arguments = [
                    "--no-password",
                    "--no-psqlrc",
                    "--quiet",
                    "--dbname=postgres",
                ];
                return ("psql", arguments.map(str::to_owned).into());
            }
        };
        let mut arguments = vec!["--no-password".to_owned()];
        let program = match format {
            Format::Plain => {
                arguments.extend(
                    [
                        "--no-psqlrc",
                        "--quiet",
                        "--set=ON_ERROR_STOP=1",
                        "--single-transaction",
                        "--output=/dev/null",
                        "--file=-",
                    ]
                    .map(str::to_owned),
                );
                arguments.extend(database.map(|name| format!("--dbname={}", connection(name))));
                "psql"
            }
            Format::Custom => {
                arguments.extend(["--exit-on-error", "--single-transaction"].map(str::to_owned));
                if self.config.clean {
                    arguments.extend(["--clean", "--if-exists"].map(str::to_owned));
                }
                // Without a database, pg_restore writes SQL instead of restoring; an empty
                // connection string is the one that libpq takes by itself.
                let database =
                    database.map_or_else(|| "dbname=''".to_owned(), |name| connection(name));
                arguments.push(format!("--dbname={database}"));
                "pg_restore"
            }
        };
        (program, arguments)
    }

    async fn start(&self, dump: &Dump) -> Result<(&'static str, Process, StreamWriter<u8>), Error> {
        let (program, arguments) = self.program(dump);
        let (input, stream) = wit_stream::new();
        let process = commands::spawn(program.into(), arguments, Some(stream)).await?;
        Ok((program, process, input))
    }

    fn take(&self, id: u64) -> Result<Dump, Error> {
        let expected = self.expected.borrow_mut().remove(&id);
        expected
            .ok_or_else(|| Error::Other(format!("contents came for entry {id}, which needs none")))
    }

    fn count(&self, bytes: u64) {
        let mut done = self.done.borrow_mut();
        done.files += 1;
        done.bytes += bytes;
    }
}

impl GuestWriter for Restoration {
    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let mut dumps = Vec::new();
        for entry in &entries {
            let shown = String::from_utf8_lossy(&entry.name);
            let dump = match entry.kind {
                Kind::File(_) if entry.parent == 0 => {
                    Dump::from_file_name(&entry.name, &self.config)
                }
                _ => None,
            };
            let dump = dump.ok_or_else(|| {
                Error::Config(format!(
                    "\"{shown}\" is no dump of a database: restore this snapshot to a directory instead"
                ))
            })?;
            if let Dump::Database(..) = dump {
                let mut done = self.done.borrow_mut();
                done.databases += 1;
                if done.databases > 1 && self.target.is_some() {
                    return Err(Error::Config(
                        "the snapshot holds several databases, which cannot all go to one target: choose one by its path"
                            .into(),
                    ));
                }
            }
            dumps.push((entry.id, dump));
        }
        if self.dry_run {
            for (_, dump) in &dumps {
                let (program, arguments) = self.program(dump);
                log::log(
                    log::Level::Info,
                    &format!(
                        "{} would go into: {program} {}",
                        dump.file_name(),
                        arguments.join(" ")
                    ),
                );
            }
            return Ok(Vec::new());
        }
        let needed = dumps.iter().map(|(id, _)| *id).collect();
        self.expected.borrow_mut().extend(dumps);
        Ok(needed)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        for file in files {
            let dump = self.take(file.id)?;
            let (program, process, mut input) = self.start(&dump).await?;
            let bytes = file.contents.len() as u64;
            // What the program did not take shows in how it ends.
            input.write_all(file.contents).await;
            drop(input);
            succeed(program, &process).await?;
            self.count(bytes);
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        mut contents: StreamReader<u8>,
        verdict: FutureReader<Result<(), Error>>,
    ) -> Result<(), Error> {
        let dump = self.take(id)?;
        let (program, process, mut input) = self.start(&dump).await?;
        let mut bytes = 0;
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            let (result, filled) = contents.read(buffer).await;
            bytes += filled.len() as u64;
            let mut rest = input.write_all(filled).await;
            if !rest.is_empty() {
                // The program reads no more: it has failed, and says why.
                drop(input);
                succeed(program, &process).await?;
                return Err(Error::Other(format!(
                    "{program} stopped reading before the end of the dump"
                )));
            }
            rest.clear();
            rest.reserve(CHUNK);
            buffer = rest;
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        if let Err(error) = verdict.await {
            process.kill();
            return Err(error);
        }
        drop(input);
        succeed(program, &process).await?;
        self.count(bytes);
        Ok(())
    }

    async fn commit(this: Writer) -> Result<Receipt, Error> {
        let Totals { files, bytes, .. } = *this.into_inner::<Self>().done.borrow();
        Ok(Receipt {
            snapshot: None,
            files_new: files,
            files_changed: 0,
            files_unmodified: 0,
            directories_new: 0,
            directories_changed: 0,
            directories_unmodified: 0,
            data_blobs: 0,
            tree_blobs: 0,
            bytes_added: 0,
            bytes_stored: 0,
            files_total: files,
            bytes_total: bytes,
        })
    }
}
