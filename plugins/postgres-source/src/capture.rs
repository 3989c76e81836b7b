//! A capture: one dump after the other, as the host asks for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::SystemTime;

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::arguments;
use crate::bindings::exports::tthost::backup::transfer::{GuestReader, Range, Reader};
use crate::bindings::tthost::backup::commands::{self, Process};
use crate::bindings::tthost::backup::types::{
    self, Caller, Completeness, Ending, Entry, Error, Instant, Kind, Metadata,
};
use crate::bindings::{wit_future, wit_stream};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::layout::{Dump, dumps};
use crate::program::succeed;
use crate::properties;
use crate::selection::Selection;

/// Bytes of what `psql` prints that are read at a time.
const CHUNK: usize = 64 << 10;

/// `psql` is asked for nothing that is longer, in bytes.
const LONGEST_LIST: usize = 16 << 20;

/// The names that `psql` prints, a line each.
pub(crate) async fn psql_lines(arguments: Vec<String>) -> Result<Vec<String>, Error> {
    let list = String::from_utf8(psql_output(arguments).await?).map_err(|_| {
        Error::Unsupported(
            "a database has a name that is not UTF-8: set databases to the names of the others"
                .into(),
        )
    })?;
    Ok(list.split_terminator('\n').map(str::to_owned).collect())
}

/// What `psql` prints, which is short.
pub(crate) async fn psql_output(arguments: Vec<String>) -> Result<Vec<u8>, Error> {
    let process = commands::spawn("psql".into(), arguments, None).await?;
    printed(&process).await
}

/// The values that a running `psql` prints, each with a NUL byte at its end.
pub(crate) async fn values(process: &Process) -> Result<Vec<String>, Error> {
    let printed = printed(process).await?;
    let printed = String::from_utf8_lossy(&printed);
    Ok(printed.split_terminator('\0').map(str::to_owned).collect())
}

async fn printed(process: &Process) -> Result<Vec<u8>, Error> {
    let (mut stream, verdict) = output(process, "psql")?;
    let mut list = Vec::new();
    loop {
        list.reserve(CHUNK);
        let (result, longer) = stream.read(list).await;
        list = longer;
        if list.len() > LONGEST_LIST {
            return Err(Error::Other(
                "psql prints more than it was asked for".into(),
            ));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    succeed("psql", process).await?;
    verdict.await?;
    Ok(list)
}

/// What a program writes, and whether all of it came through.
type Output = (StreamReader<u8>, FutureReader<Result<(), Error>>);

/// The contents of an entry, and their verdict.
type Contents = (StreamReader<u8>, FutureReader<Result<Ending, Error>>);

fn output(process: &Process, program: &str) -> Result<Output, Error> {
    process
        .stdout()
        .ok_or_else(|| Error::Other(format!("{program} has no standard output")))
}

/// A capture of these dumps.
pub(crate) struct Dumps {
    config: Config,
    files: Vec<Dump>,
    entries: Vec<Entry>,
    /// Whether all databases that were meant have a dump.
    completeness: Completeness,
    /// How many entries were given out.
    given: Cell<usize>,
    /// The dumps that have not succeeded.
    missing: Rc<RefCell<BTreeSet<String>>>,
}

impl Dumps {
    pub(crate) fn new(
        caller: &Caller,
        config: Config,
        selection: Selection,
    ) -> Result<Self, Error> {
        let dumps = dumps(&config, selection.databases).map_err(Error::Config)?;
        let names: Vec<_> = dumps.iter().map(Dump::file_name).collect();
        let entries = (1..)
            .zip(&names)
            .map(|(id, name)| entry(id, name, caller))
            .collect();
        let missing = Rc::new(RefCell::new(names.into_iter().collect()));
        Ok(Self {
            config,
            files: dumps,
            entries,
            completeness: selection.completeness,
            given: Cell::new(0),
            missing,
        })
    }

    /// What a snapshot of the capture lists.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.files
            .iter()
            .map(|dump| format!("/{}", dump.file_name()))
            .collect()
    }

    /// The databases that are dumped.
    fn databases(&self) -> Vec<Option<String>> {
        let names = self.files.iter().filter_map(|dump| match dump {
            Dump::Globals => None,
            Dump::Database(database, _) => Some(database.name.clone()),
        });
        names.collect()
    }

    fn dump(&self, id: u64) -> Result<&Dump, Error> {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index
            .and_then(|index| self.files.get(index))
            .ok_or_else(|| Error::NotFound(format!("the capture has no entry {id}")))
    }
}

impl GuestReader for Dumps {
    fn concurrency(&self, _: u32) -> u32 {
        // One dump loads the server enough.
        1
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        let from = self.given.get();
        let batch: Vec<_> = self
            .entries
            .iter()
            .skip(from)
            .take(max as usize)
            .cloned()
            .collect();
        self.given.set(from + batch.len());
        Ok(batch)
    }

    async fn read_small(&self, _: Vec<u64>) -> Result<Vec<types::Contents>, Error> {
        Err(Error::Unsupported(
            "the size of a dump is not known before it is read".into(),
        ))
    }

    async fn read(&self, id: u64, range: Option<Range>) -> Result<Contents, Error> {
        if range.is_some() {
            return Err(Error::Unsupported("a dump has no parts".into()));
        }
        let dump = self.dump(id)?;
        let (program, arguments) = match dump {
            Dump::Globals => ("pg_dumpall", arguments::dump_globals()),
            Dump::Database(database, _) => {
                let name = database.name.as_deref();
                ("pg_dump", arguments::dump(&self.config, name))
            }
        };
        let addition = match dump {
            Dump::Globals => properties::of(&self.config, &self.databases()).await?,
            Dump::Database(..) => Vec::new(),
        };
        let process = commands::spawn(program.into(), arguments, None).await?;
        let (output, came_through) = output(&process, program)?;
        let (mut input, stream) = wit_stream::new();
        let delivery = Delivery::new(dump, &self.config);
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("the dump was given up".into())));
        let missing = self.missing.clone();
        let file = dump.file_name();
        wit_bindgen::spawn_local(async move {
            let delivered = delivery.run(output, &mut input).await;
            // The program's own verdict says more than that of its output, and that more than what the output lacks.
            let mut ended = match succeed(program, &process).await {
                Ok(()) => came_through
                    .await
                    .and_then(|()| delivered.map_err(|fault| incomplete(program, &fault))),
                Err(error) => Err(error),
            };
            if ended.is_ok() && !input.write_all(addition).await.is_empty() {
                ended = Err(Error::Other("the dump was given up before its end".into()));
            }
            drop(input);
            if ended.is_ok() {
                missing.borrow_mut().remove(&file);
            }
            // Nobody need be listening.
            let _ = tell.write(ended.map(|()| Ending::Whole)).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        let dumps = this.into_inner::<Self>();
        let missing = dumps.missing.borrow();
        match missing.first() {
            None => Ok(dumps.completeness),
            Some(name) => Err(Error::Other(format!("{name} was not dumped to its end"))),
        }
    }
}

fn incomplete(program: &str, fault: &str) -> Error {
    Error::Other(format!(
        "{program} ended with exit code 0, but its dump {fault} (for a program that is not PostgreSQL's, set unchecked = true \
         in the source's config)"
    ))
}

fn entry(id: u64, name: &str, caller: &Caller) -> Entry {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let modified = Instant {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: now.subsec_nanos(),
    };
    let metadata = Metadata {
        mode: 0o600,
        uid: caller.user_id,
        gid: caller.group_id,
        user: Some(caller.username.clone()),
        group: None,
        modified,
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    };
    Entry {
        id,
        parent: 0,
        name: name.into(),
        kind: Kind::File(None),
        metadata,
        subtree: None,
    }
}
