//! A source that keeps the contract: a dump that a granted program makes, and some files that it makes up. With no fault it
//! has to pass all checks of the conformance suite, and with each single fault that its configuration can ask for it has to fail the
//! check that is meant for that.

mod bindings;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::rc::Rc;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin, Need, ResourceKind};
use bindings::exports::tthost::backup::source::{Capture, Guest as Source, Restoration};
use bindings::exports::tthost::backup::transfer::{
    Guest as Transfer, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use bindings::tthost::backup::log::{Level, log};
use bindings::tthost::backup::types::{
    Caller, Completeness, Contents, Ending, Entry, Error, Instant, Kind, Metadata, Small,
};
use bindings::tthost::backup::{commands, secrets};
use bindings::{wit_future, wit_stream};
use serde::Deserialize;
use wit_bindgen::{FutureReader, StreamReader};

thread_local! {
    static FAULT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Whether it has this fault.
fn faulty(name: &str) -> bool {
    FAULT.with_borrow(|fault| fault == name)
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    fault: String,
}

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        let need = |resource, name: &str, reason: &str| Need {
            resource,
            name: name.into(),
            optional: false,
            reason: reason.into(),
        };
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Dumps what a program prints".into(),
            config_schema: r#"{"type": "object", "properties": {"fault": {"type": "string"}}, "additionalProperties": false}"#.into(),
            needs: vec![
                need(ResourceKind::Command, "dump", "It prints the dump."),
                need(ResourceKind::Secret, "token", "It opens the source."),
            ],
        }
    }
}

impl Source for Component {
    async fn open(_: Caller, config: String) -> Result<Capture, Error> {
        let config: Config =
            serde_json::from_str(&config).map_err(|cause| Error::Config(cause.to_string()))?;
        FAULT.set(config.fault);
        let token = secrets::get("token".into()).await?;
        if faulty("logs-its-secret") {
            let token = String::from_utf8_lossy(&token);
            log(Level::Debug, &format!("the token is {token}"));
        }
        if faulty("open-starts-a-program") {
            commands::spawn("dump".into(), Vec::new(), None).await?;
        }
        if faulty("open-is-slow") {
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        let mut paths = vec!["/dump.sql".to_owned(), "/files".to_owned()];
        if faulty("no-paths") {
            paths.clear();
        }
        if faulty("a-relative-path") {
            paths[0] = "dump.sql".into();
        }
        if faulty("a-path-comes-twice") {
            paths[1] = "/dump.sql".into();
        }
        Ok(Capture {
            paths,
            reader: Reader::new(Reading::default()),
        })
    }

    async fn restore(_: Caller, _: String, _: Restoration) -> Result<Writer, Error> {
        Err(Error::Unsupported("nothing can be restored to it".into()))
    }
}

impl Transfer for Component {
    type Reader = Reading;
    type Writer = Nothing;
}

/// A capture that is read.
#[derive(Default)]
struct Reading {
    given: Cell<usize>,
    /// Whether the program has said that the dump is whole.
    is_dumped: Rc<Cell<bool>>,
}

/// The sizes of the files that are made up, in their order.
const SIZES: [usize; 4] = [0, 100, 5000, 1 << 20];

/// The number of the dump, and of the first file.
const DUMP: u64 = 1;
const FIRST: u64 = 3;

fn contents(id: u64) -> Vec<u8> {
    let number = usize::try_from(id - FIRST).unwrap_or(0);
    let size = SIZES.get(number).copied().unwrap_or(0);
    let byte = |at: usize| u8::try_from((at * 7 + number) % 251).unwrap_or(0);
    (0..size).map(byte).collect()
}

fn entries() -> Vec<Entry> {
    let mut all = vec![
        entry(DUMP, 0, "dump.sql", Kind::File(None)),
        entry(2, 0, "files", Kind::Directory),
    ];
    for (id, size) in (FIRST..).zip(SIZES) {
        let name = match id {
            FIRST if faulty("a-name-is-a-path") => "../f".to_owned(),
            FIRST if faulty("captures-differ") => {
                format!("f{}", RandomState::new().build_hasher().finish())
            }
            _ => format!("g{id}"),
        };
        all.push(entry(id, 2, &name, Kind::File(Some(size as u64))));
    }
    if faulty("in-the-wrong-order") {
        all.swap(3, 4);
    }
    if faulty("a-wrong-parent") {
        all[4].parent = 4;
    }
    if faulty("a-number-comes-twice") {
        all[4].id = 4;
    }
    all
}

impl GuestReader for Reading {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        if faulty("next-stalls") {
            std::future::pending::<()>().await;
        }
        let all = entries();
        let mut given = self.given.get();
        if given == all.len() && faulty("begins-again") {
            given = 0;
        }
        let max = if faulty("more-than-was-asked-for") {
            3
        } else {
            max as usize
        };
        let until = all.len().min(given + max);
        self.given.set(until);
        Ok(all[given..until].to_vec())
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        let whole = |id| {
            let mut bytes = contents(id);
            if faulty("a-small-file-is-short") {
                bytes.pop();
            }
            Contents::Whole(bytes)
        };
        Ok(ids.into_iter().map(whole).collect())
    }

    async fn read(
        &self,
        id: u64,
        range: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        if range.is_some() && !faulty("a-part-is-the-whole") {
            return Err(Error::Unsupported("it gives whole files".into()));
        }
        if id == DUMP {
            return self.dump().await;
        }
        let mut bytes = contents(id);
        if faulty("a-large-file-is-short") {
            bytes.pop();
        }
        if faulty("a-large-file-is-long") {
            bytes.push(0);
        }
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("nobody gave a verdict".into())));
        wit_bindgen::spawn_local(async move {
            if !pipe.write_all(bytes).await.is_empty() {
                return;
            }
            drop(pipe);
            if !faulty("a-verdict-is-missing") {
                // Nobody need be listening.
                let _ = tell.write(Ok(Ending::Whole)).await;
            }
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        let this = this.into_inner::<Self>();
        if faulty("the-end-is-bad") {
            return Err(Error::Other("something was not read".into()));
        }
        if this.is_dumped.get() {
            Ok(Completeness::Complete)
        } else {
            Err(Error::Other("the dump is not whole".into()))
        }
    }
}

type Dump = (StreamReader<u8>, FutureReader<Result<Ending, Error>>);

impl Reading {
    /// What the program prints, and what it says of that.
    async fn dump(&self) -> Result<Dump, Error> {
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("nobody gave a verdict".into())));
        let started = commands::spawn("dump".into(), Vec::new(), None).await;
        let is_dumped = self.is_dumped.clone();
        let process = match started {
            Err(_) if faulty("a-missing-program-is-empty") => {
                let (pipe, stream) = wit_stream::new();
                drop(pipe);
                is_dumped.set(true);
                wit_bindgen::spawn_local(async move {
                    // Nobody need be listening.
                    let _ = tell.write(Ok(Ending::Whole)).await;
                });
                return Ok((stream, verdict));
            }
            started => started?,
        };
        let Some((mut output, through)) = process.stdout() else {
            return Err(Error::Other("the program has no output".into()));
        };
        let (mut pipe, stream) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            let mut length = 0;
            loop {
                let (result, piece) = output.read(Vec::with_capacity(1 << 16)).await;
                length += piece.len();
                if !pipe.write_all(piece).await.is_empty() {
                    return;
                }
                if !matches!(result, wit_bindgen::StreamResult::Complete(_)) {
                    break;
                }
            }
            drop(pipe);
            let exit = match through.await {
                Ok(()) => process.wait().await,
                Err(error) => Err(error),
            };
            let is_fine = exit.as_ref().is_ok_and(|exit| exit.code == Some(0));
            let is_taken = is_fine
                || (faulty("ignores-the-exit") && length > 0)
                || (faulty("no-output-is-no-failure") && length == 0);
            is_dumped.set(is_taken);
            let told = match exit {
                Ok(_) if is_taken => Ok(Ending::Whole),
                Ok(_) => Err(Error::Other("the program failed".into())),
                Err(error) => Err(error),
            };
            // Nobody need be listening.
            let _ = tell.write(told).await;
        });
        Ok((stream, verdict))
    }
}

/// A restoration, which never is.
struct Nothing;

impl GuestWriter for Nothing {
    fn concurrency(&self, _: u32) -> u32 {
        1
    }

    async fn offer(&self, _: Vec<Entry>) -> Result<Vec<u64>, Error> {
        unsupported()
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        unsupported()
    }

    async fn put(
        &self,
        _: u64,
        _: StreamReader<u8>,
        _: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        unsupported()
    }

    async fn commit(_: Writer, _: Completeness) -> Result<Receipt, Error> {
        unsupported()
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("nothing can be restored to it".into()))
}

fn entry(id: u64, parent: u64, name: &str, kind: Kind) -> Entry {
    Entry {
        id,
        parent,
        name: name.as_bytes().to_vec(),
        kind,
        metadata: Metadata {
            mode: 0o600,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            modified: Instant {
                seconds: 0,
                nanoseconds: 0,
            },
            accessed: None,
            changed: None,
            device: 0,
            inode: 0,
            links: 1,
            xattrs: Vec::new(),
        },
        subtree: None,
    }
}
