//! A capture: one dump after the other, as the host asks for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::SystemTime;

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::exports::tthost::backup::transfer::{GuestReader, Reader};
use crate::bindings::tthost::backup::commands;
use crate::bindings::tthost::backup::types::{Caller, Entry, Error, Instant, Kind, Metadata};
use crate::bindings::wit_future;
use crate::config::{Config, Databases, check_database};
use crate::layout::{Dump, dumps};
use crate::program::succeed;

/// Lists the databases, a line each.
const LIST: &str = "select datname from pg_catalog.pg_database where datallowconn and not datistemplate order by datname";

/// A list of databases that is longer is none, in bytes.
const LONGEST_LIST: usize = 1 << 20;

/// The databases that the configuration means; none for the one that libpq takes by itself.
pub(crate) async fn databases(config: &Config) -> Result<Vec<Option<String>>, Error> {
    match &config.databases {
        Databases::Default => Ok(vec![None]),
        Databases::Named(names) => Ok(names.iter().cloned().map(Some).collect()),
        Databases::All => {
            let names = list_databases().await?;
            names
                .iter()
                .try_for_each(|name| check_database(name))
                .map_err(Error::Unsupported)?;
            Ok(names.into_iter().map(Some).collect())
        }
    }
}

async fn list_databases() -> Result<Vec<String>, Error> {
    let arguments = [
        "--no-password",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--dbname=postgres",
        "--command",
        LIST,
    ]
    .map(str::to_owned);
    let process = commands::spawn("psql".into(), arguments.into(), None).await?;
    let (mut stream, verdict) = process
        .stdout()
        .ok_or_else(|| Error::Other("psql has no standard output".into()))?;
    let mut list = Vec::new();
    loop {
        let (result, more) = stream.read(Vec::with_capacity(64 << 10)).await;
        list.extend(more);
        if list.len() > LONGEST_LIST {
            return Err(Error::Other(
                "psql lists more databases than there can be".into(),
            ));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    verdict.await?;
    succeed("psql", &process).await?;
    let list = String::from_utf8(list)
        .map_err(|_| Error::Unsupported("a database has a name that is no UTF-8".into()))?;
    Ok(list
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// A capture of these dumps.
pub(crate) struct Dumps {
    config: Config,
    dumps: Vec<Dump>,
    entries: Vec<Entry>,
    /// How many entries were given out.
    given: Cell<usize>,
    /// The dumps that have not succeeded.
    missing: Rc<RefCell<BTreeSet<String>>>,
}

impl Dumps {
    pub(crate) fn new(caller: &Caller, config: &Config, databases: Vec<Option<String>>) -> Self {
        let dumps = dumps(config, &databases);
        let names: Vec<_> = dumps.iter().map(Dump::file_name).collect();
        let entries = (1..)
            .zip(&names)
            .map(|(id, name)| entry(id, name, caller))
            .collect();
        let missing = Rc::new(RefCell::new(names.into_iter().collect()));
        Self {
            config: config.clone(),
            dumps,
            entries,
            given: Cell::new(0),
            missing,
        }
    }

    /// What a snapshot of the capture lists.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.dumps
            .iter()
            .map(|dump| format!("/{}", dump.file_name()))
            .collect()
    }

    fn dump(&self, id: u64) -> Result<&Dump, Error> {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index
            .and_then(|index| self.dumps.get(index))
            .ok_or_else(|| Error::NotFound(format!("the capture has no entry {id}")))
    }
}

impl GuestReader for Dumps {
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

    async fn read_small(&self, _: Vec<u64>) -> Result<Vec<Result<Vec<u8>, Error>>, Error> {
        Err(Error::Unsupported(
            "the size of a dump is not known before it is read".into(),
        ))
    }

    async fn read(
        &self,
        id: u64,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<(), Error>>), Error> {
        let dump = self.dump(id)?;
        let (name, arguments) = match dump {
            Dump::Globals => (
                "pg_dumpall",
                vec!["--no-password".into(), "--globals-only".into()],
            ),
            Dump::Database(database, _) => {
                ("pg_dump", self.config.dump_arguments(database.as_deref()))
            }
        };
        let process = commands::spawn(name.into(), arguments, None).await?;
        let (output, read) = process
            .stdout()
            .ok_or_else(|| Error::Other(format!("{name} has no standard output")))?;
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("the dump was given up".into())));
        let missing = self.missing.clone();
        let file = dump.file_name();
        wit_bindgen::spawn_local(async move {
            // The program's own verdict says more than that of its output, so it comes first.
            let ended = match succeed(name, &process).await {
                Ok(()) => read.await,
                Err(error) => Err(error),
            };
            if ended.is_ok() {
                missing.borrow_mut().remove(&file);
            }
            // Nobody need be listening.
            let _ = tell.write(ended).await;
        });
        Ok((output, verdict))
    }

    async fn finish(this: Reader) -> Result<(), Error> {
        let dumps = this.into_inner::<Self>();
        let missing = dumps.missing.borrow();
        match missing.first() {
            None => Ok(()),
            Some(name) => Err(Error::Other(format!("{name} was not dumped to its end"))),
        }
    }
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
    }
}
