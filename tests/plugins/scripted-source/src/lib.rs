//! A source that behaves as its configuration says, for the tests of the contract.

mod bindings;
mod reach;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::source::{Capture, Guest as Source, Restoration};
use bindings::exports::tthost::backup::transfer::{
    Guest as Transfer, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use bindings::tthost::backup::commands;
use bindings::tthost::backup::log::{Level, log};
use bindings::tthost::backup::types::{
    Caller, Completeness, Contents, Ending, Entry, Error, Instant, Kind, Metadata, Small,
};
use bindings::{wit_future, wit_stream};
use serde::Deserialize;
use wit_bindgen::{FutureReader, StreamReader};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    /// As the contract wants it. Contents that are asked for twice are an error.
    Keep,
    /// Contents end without a verdict.
    Unsaid,
    /// Contents end with a bad verdict.
    BadVerdict,
    /// The verdict on the whole is bad.
    BadEnd,
    /// Children come in the wrong order.
    Disorder,
    /// An entry is called `..`.
    Escape,
    /// A small file is larger than was announced.
    Swell,
    /// A small file is smaller than was announced.
    Shrink,
    /// A large file ends before the announced size, with a good verdict.
    Stop,
    /// A large file goes on after the announced size, with a good verdict.
    Exceed,
    /// The files change while they are read.
    Change,
    /// No contents can be had.
    Omit,
    /// Contents have no end.
    Flood,
    /// Contents have no next byte.
    Stall,
    /// Whatever can be reached without a grant is an error.
    Reach,
    /// A restoration runs the granted program `wait` twice, although it was stopped.
    Insist,
}

#[derive(Deserialize)]
struct Config {
    act: Act,
    /// Where somebody listens who must not be reached.
    #[serde(default)]
    listener: Option<String>,
}

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Behaves as it is told".into(),
            config_schema: r#"{"additionalProperties": true}"#.into(),
            needs: Vec::new(),
        }
    }
}

impl Source for Component {
    async fn open(_: Caller, config: String) -> Result<Capture, Error> {
        let config: Config =
            serde_json::from_str(&config).map_err(|cause| Error::Config(cause.to_string()))?;
        if config.act == Act::Reach {
            let mut reached = reach::all(config.listener.as_deref());
            reached.extend(reach::imports().await);
            if !reached.is_empty() {
                return Err(Error::Other(format!("reached {}", reached.join(", "))));
            }
        }
        Ok(Capture {
            paths: vec!["/tree".into()],
            reader: Reader::new(Tree {
                act: config.act,
                given: Cell::new(false),
                read: RefCell::default(),
            }),
        })
    }

    async fn restore(_: Caller, _: String, _: Restoration) -> Result<Writer, Error> {
        Ok(Writer::new(Programs))
    }
}

impl Transfer for Component {
    type Reader = Tree;
    type Writer = Programs;
}

/// A directory whose name is not UTF-8, with a small file and one of unknown size.
struct Tree {
    act: Act,
    given: Cell<bool>,
    /// The entries whose contents were asked for.
    read: RefCell<BTreeSet<u64>>,
}

/// What is in the small file.
const SMALL: &[u8] = b"small";

/// What the file of unknown size is made of, and how often.
static PIECE: [u8; 1 << 16] = [b'x'; 1 << 16];
const PIECES: usize = 5;

impl Tree {
    fn ask(&self, id: u64) -> Result<(), Error> {
        if self.read.borrow_mut().insert(id) {
            Ok(())
        } else {
            Err(Error::Other(format!("entry {id} was asked for twice")))
        }
    }

    /// The size that is announced of the second file.
    fn announced(&self) -> Option<u64> {
        // More than travels with others.
        const MORE: u64 = 1 << 20;
        let whole = (PIECE.len() * PIECES) as u64;
        match self.act {
            Act::Stop | Act::Change => Some(whole + MORE),
            Act::Exceed => Some(MORE),
            _ => None,
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let (first, second): (&[u8], &[u8]) = match self.act {
            Act::Disorder => (b"b", b"a"),
            Act::Escape => (b"..", b"a"),
            _ => (b"a", b"b"),
        };
        vec![
            entry(1, 0, b"\xffd", Kind::Directory),
            entry(2, 1, first, Kind::File(Some(SMALL.len() as u64))),
            entry(3, 1, second, Kind::File(self.announced())),
        ]
    }
}

impl GuestReader for Tree {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, _: u32) -> Result<Vec<Entry>, Error> {
        Ok(if self.given.replace(true) {
            Vec::new()
        } else {
            self.entries()
        })
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        let contents = |id| {
            self.ask(id)?;
            Ok(match self.act {
                Act::Swell => Contents::Whole(PIECE.repeat(2)),
                Act::Shrink => Contents::Whole(Vec::new()),
                Act::Change => Contents::Changed(b"changed".to_vec()),
                Act::Omit => Contents::Omitted,
                _ => Contents::Whole(SMALL.to_vec()),
            })
        };
        ids.into_iter().map(contents).collect()
    }

    async fn read(
        &self,
        id: u64,
        _: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        self.ask(id)?;
        let act = self.act;
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("nobody gave a verdict".into())));
        wit_bindgen::spawn_local(async move {
            for piece in 0.. {
                let pieces = match act {
                    Act::Flood => usize::MAX,
                    Act::Exceed => PIECES * 4,
                    _ => PIECES,
                };
                if piece == pieces {
                    break;
                }
                if !pipe.write_all(PIECE.to_vec()).await.is_empty() {
                    return;
                }
                if act == Act::Stall {
                    std::future::pending::<()>().await;
                }
            }
            drop(pipe);
            let verdict = match act {
                Act::Unsaid => return,
                Act::BadVerdict => Err(Error::Other("the contents are not what they seem".into())),
                Act::Omit => Ok(Ending::Omitted),
                Act::Change => Ok(Ending::Changed),
                _ => Ok(Ending::Whole),
            };
            // Nobody need be listening.
            let _ = tell.write(verdict).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        match this.into_inner::<Self>().act {
            Act::BadEnd => Err(Error::Other("the tree changed meanwhile".into())),
            _ => Ok(Completeness::Complete),
        }
    }
}

/// A restoration into programs.
struct Programs;

impl GuestWriter for Programs {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let files = entries
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::File(_)));
        Ok(files.map(|entry| entry.id).take(1).collect())
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        for number in 1..=2 {
            let process = commands::spawn("wait".into(), Vec::new(), None).await?;
            log(Level::Info, &format!("program {number} runs"));
            if process.wait().await?.signal.is_some() {
                log(Level::Info, &format!("program {number} was stopped"));
            }
        }
        Err(Error::Cancelled("its programs were stopped".into()))
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

impl Drop for Programs {
    fn drop(&mut self) {
        log(Level::Info, "the restoration is given up");
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("this is not a part of any test".into()))
}

fn entry(id: u64, parent: u64, name: &[u8], kind: Kind) -> Entry {
    let mode = match kind {
        Kind::Directory => 0o700,
        _ => 0o600,
    };
    Entry {
        id,
        parent,
        name: name.to_vec(),
        kind,
        metadata: Metadata {
            mode,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            modified: Instant {
                seconds: -1,
                nanoseconds: 5,
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
