//! A source whose tree is what its attack needs.

use std::cell::Cell;

use crate::attack::attack;
use crate::bindings::exports::tthost::backup::source::{Capture, Guest, Restoration};
use crate::bindings::exports::tthost::backup::transfer::{GuestReader, Range, Reader, Writer};
use crate::bindings::tthost::backup::types::{
    Caller, Completeness, Contents, Ending, Entry, Error, Instant, Kind, Metadata, Xattr,
};
use crate::bindings::{wit_future, wit_stream};
use crate::{Component, unsupported};
use wit_bindgen::{FutureReader, StreamReader};

impl Guest for Component {
    async fn open(_: Caller, config: String) -> Result<Capture, Error> {
        let name = crate::attack(&config)?;
        let tree = Tree {
            name,
            given: Cell::new(0),
        };
        tree.attack("open").await?;
        Ok(Capture {
            paths: match &*tree.name {
                "long-path" => vec!["/x".repeat(1 << 20)],
                "many-paths" => vec!["/".into(); 100_000],
                _ => vec!["/tree".into()],
            },
            reader: Reader::new(tree),
        })
    }

    async fn restore(_: Caller, _: String, _: Restoration) -> Result<Writer, Error> {
        unsupported()
    }
}

/// A file of two bytes and one of unknown size, or worse.
pub(crate) struct Tree {
    name: String,
    /// Entries that were given.
    given: Cell<u64>,
}

impl Tree {
    async fn attack(&self, place: &str) -> Result<(), Error> {
        let name = self.name.strip_prefix(place);
        match name.and_then(|name| name.strip_prefix(':')) {
            Some(name) => attack(name).await,
            None => Ok(()),
        }
    }

    /// The entries of this tree, all at once.
    fn entries(&self) -> Vec<Entry> {
        let file = |id, name: &[u8]| entry(id, 0, name, Kind::File(Some(2)));
        let named = |name: &[u8]| vec![file(1, name)];
        match &*self.name {
            "name-up" => named(b".."),
            "name-here" => named(b"."),
            "name-empty" => named(b""),
            "name-absolute" => named(b"/etc/cron.d/x"),
            "name-path" => named(b"a/../../x"),
            "name-nul" => named(b"a\0b"),
            "name-long" => named(&vec![b'x'; 5 << 20]),
            "twins" => vec![file(1, b"a"), file(2, b"a")],
            "same-number" => vec![file(1, b"a"), file(1, b"b")],
            "orphan" => vec![entry(1, 7, b"a", Kind::Directory)],
            "in-file" => vec![file(1, b"a"), entry(2, 1, b"b", Kind::Directory)],
            "link-nul" => vec![entry(1, 0, b"a", Kind::Symlink(b"x\0y".to_vec()))],
            "mode" => with(|metadata| metadata.mode = 0o10_0644),
            "nobody" => with(|metadata| metadata.uid = u32::MAX),
            "nanoseconds" => with(|metadata| metadata.modified.nanoseconds = 1_000_000_000),
            "xattr-name" => with(|metadata| metadata.xattrs = vec![xattr(&[b'x'; 256], 0)]),
            "xattrs" => with(|metadata| metadata.xattrs = vec![xattr(b"user.a", 1 << 20); 40]),
            "many" => (0..2000)
                .map(|id| file(id + 1, format!("{id:05}").as_bytes()))
                .collect(),
            "announced" => vec![entry(1, 0, b"a", Kind::File(Some(1 << 20)))],
            _ => vec![file(1, b"a"), entry(2, 0, b"b", Kind::File(None))],
        }
    }
}

impl GuestReader for Tree {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        self.attack("next").await?;
        let given = self.given.get();
        if self.name == "endless-tree" {
            let entries = (given + 1..=given + u64::from(max))
                .map(|id| entry(id, 0, format!("{id:020}").as_bytes(), Kind::Fifo));
            self.given.set(given + u64::from(max));
            return Ok(entries.collect());
        }
        self.given.set(given + 1);
        Ok(if given == 0 {
            self.entries()
        } else {
            Vec::new()
        })
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        self.attack("read-small").await?;
        Ok(match &*self.name {
            "too-few" => Vec::new(),
            "too-many" => vec![Contents::Omitted; 5000],
            "swollen" => vec![Contents::Changed(vec![0; 3 << 20]); ids.len()],
            _ => vec![Contents::Whole(b"ab".to_vec()); ids.len()],
        })
    }

    async fn read(
        &self,
        _: u64,
        _: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        self.attack("read").await?;
        let name = self.name.clone();
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("nobody gave a verdict".into())));
        wit_bindgen::spawn_local(async move {
            let pieces = match &*name {
                "announced" | "endless" => usize::MAX,
                "nothing" => 0,
                _ => 1,
            };
            for _ in 0..pieces {
                if !pipe.write_all(vec![0; 1 << 18]).await.is_empty() {
                    // Whatever happened, it was a success.
                    break;
                }
            }
            if name == "stream-stall" {
                std::future::pending::<()>().await;
            }
            drop(pipe);
            if name == "verdict-stall" {
                std::future::pending::<()>().await;
            }
            // Nobody need be listening.
            let _ = tell.write(Ok(Ending::Whole)).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        this.get::<Self>().attack("finish").await?;
        Ok(Completeness::Complete)
    }
}

fn with(change: impl FnOnce(&mut Metadata)) -> Vec<Entry> {
    let mut odd = entry(1, 0, b"a", Kind::Directory);
    change(&mut odd.metadata);
    vec![odd]
}

fn xattr(name: &[u8], length: usize) -> Xattr {
    Xattr {
        name: name.to_vec(),
        value: vec![0; length],
    }
}

fn entry(id: u64, parent: u64, name: &[u8], kind: Kind) -> Entry {
    Entry {
        id,
        parent,
        name: name.to_vec(),
        kind,
        metadata: Metadata {
            mode: 0o700,
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
