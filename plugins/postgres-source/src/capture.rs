//! Captures one dump after the other, as the host asks for them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tthost_plugin::command::{self, Process};
use tthost_plugin::source::{
    Caller, Completeness, Contents, Drill, Ending, Entries, Node, Reader, Restoration as Wanted,
    Source,
};
use tthost_plugin::{About, Error};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::arguments;
use crate::config::Config;
use crate::delivery::{check, deliver};
use crate::layout::{Dump, dumps};
use crate::plan::Plan;
use crate::program::succeed;
use crate::properties;
use crate::restoration::Restoration;
use crate::selection::Selection;
use crate::unfinished;

/// Bytes of `psql`'s output in one read.
const CHUNK: usize = 64 << 10;

/// The largest expected output of `psql`, in bytes.
const MAX_LIST_LENGTH: usize = 16 << 20;

/// Reads the names that `psql` prints, one on each line.
pub(crate) async fn psql_lines(arguments: Vec<String>) -> Result<Vec<String>, Error> {
    let list = String::from_utf8(psql_output(arguments).await?).map_err(|_| {
        Error::Unsupported(
            "a database has a name that is not UTF-8: set databases to the names of the others"
                .into(),
        )
    })?;
    Ok(list.split_terminator('\n').map(str::to_owned).collect())
}

/// Reads the output of `psql`.
pub(crate) async fn psql_output(arguments: Vec<String>) -> Result<Vec<u8>, Error> {
    let process = command::spawn("psql".into(), arguments, None).await?;
    printed(&process).await
}

/// Reads the values that a running `psql` prints. A NUL byte ends each value.
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
        if list.len() > MAX_LIST_LENGTH {
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

/// The output of a program, with its verdict.
type Output = (StreamReader<u8>, FutureReader<Result<(), Error>>);

fn output(process: &Process, program: &str) -> Result<Output, Error> {
    process
        .stdout()
        .ok_or_else(|| Error::Other(format!("{program} has no standard output")))
}

/// A capture of these dumps.
pub(crate) struct Dumps {
    config: Config,
    files: Vec<Dump>,
    /// Whether all selected databases have a dump.
    completeness: Completeness,
    /// The dumps that failed.
    missing: Rc<RefCell<BTreeSet<String>>>,
}

impl Source for Dumps {
    type Config = Config;
    type Restoration = Restoration;

    const ABOUT: About = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Dumps PostgreSQL databases with pg_dump and restores them with psql or pg_restore",
    };

    async fn open(config: Config, _: Caller) -> Result<Self, Error> {
        unfinished::remove_leftovers(&config).await;
        let selection = Selection::new(&config).await?;
        let files = dumps(&config, selection.databases).map_err(Error::Config)?;
        let missing = files.iter().map(Dump::file_name).collect();
        Ok(Self {
            config,
            files,
            completeness: selection.completeness,
            missing: Rc::new(RefCell::new(missing)),
        })
    }

    fn paths(&self) -> Vec<String> {
        self.files.iter().map(path).collect()
    }

    async fn restore(config: Config, _: Caller, wanted: Wanted) -> Result<Restoration, Error> {
        let plan = Plan::new(config, wanted)?;
        unfinished::remove_leftovers(&plan.config).await;
        Ok(Restoration::new(plan))
    }
}

impl Drill for Dumps {
    async fn drill(config: Config, _: Caller, label: String) -> Result<Restoration, Error> {
        let plan = Plan::drill(config, label);
        unfinished::remove_leftovers(&plan.config).await;
        Ok(Restoration::new(plan))
    }
}

impl Dumps {
    /// The databases to dump.
    fn databases(&self) -> Vec<Option<String>> {
        let names = self.files.iter().filter_map(|dump| match dump {
            Dump::Globals => None,
            Dump::Database(database, _) => Some(database.name.clone()),
        });
        names.collect()
    }
}

impl Reader for Dumps {
    type File = Dump;

    fn entries(&mut self) -> Entries<Dump> {
        let files = self.files.clone().into_iter();
        Entries::of(files.map(|dump| Node::file(path(&dump), None, dump)))
    }

    // One dump at a time is enough load for the server.
    async fn read(&self, dump: &Dump) -> Result<Contents, Error> {
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
        let process = command::spawn(program.into(), arguments, None).await?;
        let (written, came_through) = output(&process, program)?;
        let check = check(dump, &self.config);
        let missing = self.missing.clone();
        let file = dump.file_name();
        Ok(Contents::made(async move |mut output| {
            let delivered = deliver(check, written, &mut output).await;
            // The exit status of the program says most, then the verdict of the stream, then the check of the dump.
            succeed(program, &process).await?;
            came_through.await?;
            delivered.map_err(|fault| incomplete(program, &fault))?;
            output.write(addition).await?;
            missing.borrow_mut().remove(&file);
            Ok(Ending::Whole)
        }))
    }

    async fn finish(&self) -> Result<Completeness, Error> {
        let missing = self.missing.borrow();
        match missing.first() {
            None => Ok(self.completeness),
            Some(name) => Err(Error::Other(format!("{name} was not dumped to its end"))),
        }
    }
}

fn path(dump: &Dump) -> String {
    format!("/{}", dump.file_name())
}

fn incomplete(program: &str, fault: &str) -> Error {
    Error::Other(format!(
        "{program} ended with exit code 0, but its dump {fault} (for a program that is not PostgreSQL's, set unchecked = true \
         in the source's config)"
    ))
}
