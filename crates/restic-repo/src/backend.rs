//! The backend that stores a repository's files.

use std::fmt;

use crate::{Id, Instant, Result};

/// What a file of a repository is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// The one file `config`.
    Config,
    /// A key, readable with a password.
    Key,
    /// A sign that somebody is at work.
    Lock,
    /// A snapshot.
    Snapshot,
    /// A list of what is in which pack.
    Index,
    /// Blobs of contents.
    Pack,
    /// Blobs of trees, which are read again and again. Stored and listed with the other packs.
    TreePack,
}

impl FileKind {
    /// The directory of all files of this kind; none for `config`.
    pub fn directory(self) -> Option<&'static str> {
        match self {
            Self::Config => None,
            Self::Key => Some("keys"),
            Self::Lock => Some("locks"),
            Self::Snapshot => Some("snapshots"),
            Self::Index => Some("index"),
            Self::Pack | Self::TreePack => Some("data"),
        }
    }

    /// The path of a file in the repository. Packs lie in directories named by the first
    /// two digits of their ids. The configuration has no id.
    pub fn path(self, id: Id) -> String {
        match self {
            Self::Config => "config".into(),
            Self::Pack | Self::TreePack => {
                let name = id.to_string();
                format!("data/{}/{name}", &name[..2])
            }
            _ => format!("{}/{id}", self.directory().unwrap_or_default()),
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::Key => "key",
            Self::Lock => "lock",
            Self::Snapshot => "snapshot",
            Self::Index => "index",
            Self::Pack | Self::TreePack => "pack",
        })
    }
}

/// A file that is there, and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: Id,
    /// Its length.
    pub length: u64,
}

/// The id that stands for the configuration, which has none.
pub(crate) const CONFIG: Id = Id([0; 32]);

/// What may be done with a repository's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Everything but removing.
    AppendOnly,
    /// Storing. What is read and listed is what this machine keeps of what it stored.
    WriteOnly,
    /// Reading and listing.
    ReadOnly,
}

/// Stores files under the names of the format.
pub trait Backend {
    /// What may be done.
    fn access(&self) -> Access {
        Access::Full
    }

    /// Where the files are, for messages; none where somebody else knows it better.
    fn place(&self) -> Option<String> {
        None
    }

    /// Reads nothing from copies from here on that was not compared with the file itself.
    fn distrust_copies(&self) {}

    /// Packs that are worth storing at a time.
    fn writers(&self) -> usize {
        2
    }

    /// Makes the directories of a new repository.
    async fn create_layout(&self) -> Result<()>;

    /// Whether a repository's configuration is there.
    async fn exists(&self) -> Result<bool>;

    /// All files of a kind whose names are ids, in any order.
    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>>;

    /// A file, whole.
    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>>;

    /// Part of a file; an error when it ends before that.
    async fn read_range(&self, kind: FileKind, id: Id, offset: u64, length: u64)
    -> Result<Vec<u8>>;

    /// Stores a file. When this returns, it is whole and on stable storage; when it fails,
    /// nothing has that name that did not have it before. A configuration never takes the place
    /// of another one, as far as the storage can prevent that.
    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()>;

    /// Stores a pack, whose bytes come in pieces of a megabyte, like any other file.
    async fn write_pack(&self, kind: FileKind, id: Id, pieces: Vec<Vec<u8>>) -> Result<()> {
        self.write(kind, id, pieces.concat()).await
    }

    /// Removes a file; fine when it is not there.
    async fn remove(&self, kind: FileKind, id: Id) -> Result<()>;

    /// The length of a file in bytes, none when it is not there. A listing may lag behind; this
    /// must not.
    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>>;

    /// When a file was stored, by the storage's clock; none when it is not there, or that is not
    /// known.
    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>>;
}
