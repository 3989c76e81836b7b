//! A repository's files, in a granted directory or store.

use restic_plugin::{Directory, ObjectStore, compute};
use restic_repo::{Backend, Cached, Error, FileKind, Id, Instant, Listed, Result};

/// The name under which the host grants the directory of the repository.
pub(crate) const REPOSITORY: &str = "repository";

/// The name under which the host grants a directory for copies of what is in a store.
pub(crate) const STATE: &str = "state";

/// Where a repository's files are.
#[derive(Clone)]
pub(crate) enum Files {
    /// In a directory.
    Directory(Directory),
    /// In a store, perhaps with copies in a directory of this machine.
    Store(Cached<ObjectStore, Directory>),
}

/// Does the same with the files, wherever they are.
macro_rules! either {
    ($files:expr, $either:ident => $work:expr) => {
        match $files {
            Files::Directory($either) => $work,
            Files::Store($either) => $work,
        }
    };
}

impl Files {
    /// The files that the grants mean.
    pub(crate) async fn granted() -> Result<Self> {
        let config = ObjectStore.read_object("config").await;
        match (Directory::granted(REPOSITORY), config) {
            // There is no store, and none was granted.
            (Some(directory), Err(Error::Denied(_))) => Ok(Self::Directory(directory)),
            (Some(_), _) => Err(Error::Config(
                "both a directory and a store are granted: remove grants.directories.repository or `store`".into(),
            )),
            (None, Err(Error::Denied(cause))) => Err(Error::Config(format!(
                "set grants.directories.repository, or `store`: {cause}"
            ))),
            (None, config) => {
                let copies = match config? {
                    Some(config) => copies(&config).await?,
                    None => None,
                };
                Ok(Self::Store(Cached::new(ObjectStore, copies)))
            }
        }
    }

    /// The directory on this machine that is written to, where there is one.
    pub(crate) fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Store(cached) => cached.storage(),
        }
    }

    /// A file beside those of the repository; none when it is not there.
    pub(crate) async fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Directory(directory) => directory.read_file(name),
            Self::Store(_) => ObjectStore.read_object(name).await,
        }
    }

    /// Stores a file beside those of the repository.
    pub(crate) async fn write_file(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.write_file(name, bytes).await,
            Self::Store(_) => ObjectStore.write_object(name, bytes).await,
        }
    }

    /// Removes a file beside those of the repository.
    pub(crate) async fn remove_file(&self, name: &str) -> Result<()> {
        match self {
            Self::Directory(directory) => directory.remove_file(name).await,
            Self::Store(_) => ObjectStore.remove_object(name).await,
        }
    }
}

/// Where copies of this repository's files are kept; none where no directory was granted. Each repository has a directory of
/// its own, so that another one finds nothing that is not its own.
async fn copies(config: &[u8]) -> Result<Option<Directory>> {
    let Some(granted) = Directory::granted(STATE) else {
        return Ok(None);
    };
    let directory = granted
        .enter(&compute::digest(&[config])?.to_string())
        .await?;
    if directory.list_names("snapshots")?.is_empty() {
        directory.create_layout().await?;
    }
    Ok(Some(directory))
}

impl Backend for Files {
    fn place(&self) -> Option<String> {
        either!(self, files => files.place())
    }

    fn distrust_copies(&self) {
        either!(self, files => files.distrust_copies());
    }

    fn writers(&self) -> usize {
        either!(self, files => files.writers())
    }

    async fn create_layout(&self) -> Result<()> {
        either!(self, files => files.create_layout().await)
    }

    async fn exists(&self) -> Result<bool> {
        either!(self, files => files.exists().await)
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        either!(self, files => files.list(kind).await)
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        either!(self, files => files.read(kind, id).await)
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        either!(self, files => files.read_range(kind, id, offset, length).await)
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        either!(self, files => files.write(kind, id, bytes).await)
    }

    async fn write_pack(&self, kind: FileKind, id: Id, pieces: Vec<Vec<u8>>) -> Result<()> {
        either!(self, files => files.write_pack(kind, id, pieces).await)
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        either!(self, files => files.remove(kind, id).await)
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        either!(self, files => files.length(kind, id).await)
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        either!(self, files => files.stored(kind, id).await)
    }
}
