//! Trees that are given and taken, with all of their contents in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Value, json};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::exports::tthost::backup::sink::Draft;
use crate::bindings::exports::tthost::backup::transfer::{
    Counts, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use crate::bindings::tthost::backup::types::{
    Completeness, Contents, Ending, Entry, Error, Instant, Kind, Metadata, Small,
};
use crate::bindings::{wit_future, wit_stream};
use crate::sink;

/// A tree with its contents.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    pub(crate) entries: Vec<Entry>,
    pub(crate) contents: BTreeMap<u64, Vec<u8>>,
}

impl Tree {
    /// A directory with a small file and a large one in it.
    pub(crate) fn sample() -> Self {
        let large = vec![b'x'; 1 << 20];
        let entry = |id, parent, name: &str, kind| Entry {
            id,
            parent,
            name: name.into(),
            kind,
            metadata: metadata(),
            subtree: None,
        };
        let size = Some(large.len() as u64);
        Self {
            entries: vec![
                entry(1, 0, "directory", Kind::Directory),
                entry(2, 1, "large", Kind::File(size)),
                entry(3, 1, "small", Kind::File(Some(5))),
            ],
            contents: BTreeMap::from([(2, large), (3, b"small".to_vec())]),
        }
    }

    /// As text, which leaves out the metadata.
    pub(crate) fn to_json(&self) -> Value {
        let entries = self.entries.iter();
        let entries = entries.map(|entry| {
            let contents = self.contents.get(&entry.id);
            json!({ "id": entry.id, "parent": entry.parent, "name": entry.name, "contents": contents })
        });
        entries.collect()
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let mut tree = Self::default();
        for entry in value.as_array()? {
            let id = entry["id"].as_u64()?;
            let kind = if entry["contents"].is_null() {
                Kind::Directory
            } else {
                let contents = bytes(&entry["contents"])?;
                let size = contents.len() as u64;
                tree.contents.insert(id, contents);
                Kind::File(Some(size))
            };
            tree.entries.push(Entry {
                id,
                parent: entry["parent"].as_u64()?,
                name: bytes(&entry["name"])?,
                kind,
                metadata: metadata(),
                subtree: None,
            });
        }
        Some(tree)
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let bytes = value.as_array()?.iter();
    let bytes = bytes.map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()));
    bytes.collect()
}

fn metadata() -> Metadata {
    Metadata {
        mode: 0o755,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        modified: Instant {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}

/// A tree on its way out.
pub(crate) struct Given {
    tree: Tree,
    next: Cell<usize>,
}

impl Given {
    pub(crate) fn reader(tree: Tree) -> Reader {
        let next = Cell::new(0);
        Reader::new(Self { tree, next })
    }

    fn contents(&self, id: u64) -> Vec<u8> {
        self.tree.contents.get(&id).cloned().unwrap_or_default()
    }
}

impl GuestReader for Given {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        let from = self.next.get();
        let entries = self.tree.entries.iter().skip(from);
        let entries: Vec<_> = entries.take(max as usize).cloned().collect();
        self.next.set(from + entries.len());
        Ok(entries)
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        let contents = ids.into_iter().map(|id| Contents::Whole(self.contents(id)));
        Ok(contents.collect())
    }

    async fn read(
        &self,
        id: u64,
        range: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        if range.is_some() {
            return Err(Error::Unsupported("files are read whole".into()));
        }
        let contents = self.contents(id);
        let (mut pipe, stream) = wit_stream::new();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("it was cut off".into())));
        wit_bindgen::spawn_local(async move {
            let is_whole = pipe.write_all(contents).await.is_empty();
            drop(pipe);
            if is_whole {
                // Nobody need be listening.
                let _ = tell.write(Ok(Ending::Whole)).await;
            }
        });
        Ok((stream, verdict))
    }

    async fn finish(_: Reader) -> Result<Completeness, Error> {
        Ok(Completeness::Complete)
    }
}

/// A tree on its way in: into a snapshot, or into nothing where there is no draft.
pub(crate) struct Taken {
    draft: Option<Draft>,
    tree: RefCell<Tree>,
}

impl Taken {
    pub(crate) fn writer(draft: Option<Draft>) -> Writer {
        Writer::new(Self {
            draft,
            tree: RefCell::default(),
        })
    }
}

impl GuestWriter for Taken {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let files = entries.iter();
        let files = files.filter(|entry| matches!(entry.kind, Kind::File(_)));
        let wanted = files.map(|entry| entry.id).collect();
        self.tree.borrow_mut().entries.extend(entries);
        Ok(wanted)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        for Small { id, contents } in files {
            let (Contents::Whole(bytes) | Contents::Changed(bytes)) = contents else {
                return Err(Error::Unsupported("it takes whole trees alone".into()));
            };
            self.tree.borrow_mut().contents.insert(id, bytes);
        }
        Ok(())
    }

    async fn put(
        &self,
        id: u64,
        mut stream: StreamReader<u8>,
        verdict: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        let mut contents = Vec::new();
        loop {
            let (result, bytes) = stream.read(Vec::with_capacity(1 << 16)).await;
            contents.extend(bytes);
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        verdict.await?;
        self.tree.borrow_mut().contents.insert(id, contents);
        Ok(())
    }

    async fn commit(this: Writer, _: Completeness) -> Result<Receipt, Error> {
        let Self { draft, tree } = this.into_inner();
        let tree = tree.into_inner();
        let snapshot = draft.map(|draft| sink::keep(&draft, &tree)).transpose()?;
        let counts = |new| Counts {
            new,
            changed: 0,
            unmodified: 0,
        };
        let bytes = tree.contents.values().map(|bytes| bytes.len() as u64);
        Ok(Receipt {
            snapshot,
            files: counts(tree.contents.len() as u64),
            directories: counts((tree.entries.len() - tree.contents.len()) as u64),
            objects_added: 0,
            bytes_added: 0,
            bytes_stored: 0,
            bytes_total: bytes.sum(),
            removed: 0,
            failed: 0,
        })
    }
}
