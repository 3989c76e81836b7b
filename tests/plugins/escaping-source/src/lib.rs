//! A source that takes no notice of the snapshot that it is to restore, and offers what its
//! configuration says to the granted tree `files` instead.

mod bindings;

use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin};
use bindings::exports::tthost::backup::source::{Capture, Guest as Source, Restoration};
use bindings::exports::tthost::backup::transfer::{
    Counts, Entry, Guest as Transfer, GuestReader, GuestWriter, Range, Reader, Receipt, Writer,
};
use bindings::tthost::backup::trees;
use bindings::tthost::backup::types::{
    Caller, Completeness, Contents, Ending, Error, Instant, Kind, Metadata, Small,
};
use serde::Deserialize;
use wit_bindgen::{FutureReader, StreamReader};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    entries: Vec<Offered>,
    /// How many restorations it begins besides.
    #[serde(default)]
    more: u32,
    /// The permission bits of the tree's root.
    #[serde(default = "usual_mode")]
    root_mode: u32,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offered {
    id: u64,
    parent: u64,
    name: String,
    /// `directory`, `file`, or the target of a symbolic link.
    kind: String,
    #[serde(default = "usual_mode")]
    mode: u32,
}

fn usual_mode() -> u32 {
    0o700
}

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Restores what it is told".into(),
            config_schema: r#"{"additionalProperties": true}"#.into(),
            needs: Vec::new(),
        }
    }
}

impl Source for Component {
    async fn open(_: Caller, _: String) -> Result<Capture, Error> {
        unsupported()
    }

    async fn restore(_: Caller, config: String, _: Restoration) -> Result<Writer, Error> {
        let config: Config =
            serde_json::from_str(&config).map_err(|cause| Error::Config(cause.to_string()))?;
        for _ in 0..config.more {
            trees::Restoration::begin("files".into(), 0).await?;
        }
        let tree = trees::Restoration::begin("files".into(), 0).await?;
        Ok(Writer::new(Escape { config, tree }))
    }
}

impl Transfer for Component {
    type Reader = Nothing;
    type Writer = Escape;
}

struct Escape {
    config: Config,
    tree: trees::Restoration,
}

impl GuestWriter for Escape {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn offer(&self, _: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let entries = self.config.entries.iter().cloned().map(entry).collect();
        let files = self.tree.offer(entries).await?;
        let contents = files.into_iter().map(|id| Small {
            id,
            contents: Contents::Whole(b"escaped".to_vec()),
        });
        self.tree.put_small(contents.collect()).await?;
        Ok(Vec::new())
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

    async fn commit(this: Writer, _: Completeness) -> Result<Receipt, Error> {
        let Escape { config, tree } = this.into_inner::<Escape>();
        let root = metadata(config.root_mode);
        let changes = trees::Restoration::commit(tree, Some(root)).await?;
        Ok(Receipt {
            snapshot: None,
            files: Counts {
                new: changes.created,
                changed: changes.replaced,
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
            bytes_total: changes.bytes,
            removed: changes.removed,
            failed: 0,
        })
    }
}

/// There is no reader.
struct Nothing;

impl GuestReader for Nothing {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, _: u32) -> Result<Vec<Entry>, Error> {
        unsupported()
    }

    async fn read_small(&self, _: Vec<u64>) -> Result<Vec<Contents>, Error> {
        unsupported()
    }

    async fn read(
        &self,
        _: u64,
        _: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        unsupported()
    }

    async fn finish(_: Reader) -> Result<Completeness, Error> {
        unsupported()
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(Error::Unsupported("it only restores".into()))
}

fn entry(offered: Offered) -> Entry {
    Entry {
        id: offered.id,
        parent: offered.parent,
        name: offered.name.into_bytes(),
        kind: match offered.kind.as_str() {
            "directory" => Kind::Directory,
            "file" => Kind::File(Some(7)),
            target => Kind::Symlink(target.as_bytes().to_vec()),
        },
        metadata: metadata(offered.mode),
        subtree: None,
    }
}

fn metadata(mode: u32) -> Metadata {
    let modified = Instant {
        seconds: 0,
        nanoseconds: 0,
    };
    Metadata {
        mode,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        modified,
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}
